# src/spectrum
