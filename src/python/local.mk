# src/python - the module `halfspec`: reads runs and checkpoints, draws figures, packs images. To use it: PYTHONPATH=$(datadir)/halfspec/python.
halfspecpydir = $(datadir)/halfspec/python/halfspec
dist_halfspecpy_DATA = src/python/halfspec/__init__.py src/python/halfspec/__main__.py src/python/halfspec/files.py src/python/halfspec/run.py \
	src/python/halfspec/checkpoint.py src/python/halfspec/figures.py src/python/halfspec/pack.py
