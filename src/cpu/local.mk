# src/cpu
