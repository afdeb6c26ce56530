# tests of data
data_tests = t_data_idx t_data_cifar t_data_sets t_data_batches t_data_augment
check_PROGRAMS += $(data_tests)
TESTS += $(data_tests)
t_data_idx_SOURCES = tests/t_data_idx.c tests/data_files.h
t_data_idx_LDADD = $(test_ldadd) $(ZLIB_LIBS)
t_data_cifar_SOURCES = tests/t_data_cifar.c tests/data_files.h
t_data_cifar_LDADD = $(test_ldadd) $(ZLIB_LIBS)
t_data_sets_SOURCES = tests/t_data_sets.c tests/data_files.h
t_data_sets_LDADD = $(test_ldadd) $(ZLIB_LIBS)
t_data_batches_SOURCES = tests/t_data_batches.c tests/data_files.h
t_data_batches_LDADD = $(test_ldadd) $(ZLIB_LIBS)
t_data_augment_SOURCES = tests/t_data_augment.c tests/data_files.h
t_data_augment_LDADD = $(test_ldadd) $(ZLIB_LIBS)
TESTS += tests/t_data_pack.py
EXTRA_DIST += tests/t_data_pack.py
