# tests of cpu
