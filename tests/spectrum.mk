# tests of spectrum
