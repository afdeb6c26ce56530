# tests of ref
