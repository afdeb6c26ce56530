# src/ref
