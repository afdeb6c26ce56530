# tests of cuda
