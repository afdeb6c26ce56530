# tests of python; the sample files come from t_store_sample (tests/store.mk)
TESTS += tests/t_python_run.py
EXTRA_DIST += tests/t_python_run.py
