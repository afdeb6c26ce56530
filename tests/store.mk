# tests of store
store_tests = t_store_checkpoint t_store_damage t_store_run t_store_h5set t_store_kill
check_PROGRAMS += $(store_tests) t_store_sample
TESTS += $(store_tests) tests/t_store_files.py tests/t_store_hostile.py
EXTRA_DIST += tests/store_fixture.h tests/store_tap.py tests/t_store_files.py tests/t_store_hostile.py
t_store_checkpoint_SOURCES = tests/t_store_checkpoint.c
t_store_checkpoint_LDADD = $(test_ldadd)
t_store_damage_SOURCES = tests/t_store_damage.c
t_store_damage_LDADD = $(test_ldadd)
t_store_run_SOURCES = tests/t_store_run.c
t_store_run_LDADD = $(test_ldadd) $(HDF5_LIBS)
t_store_sample_SOURCES = tests/t_store_sample.c
t_store_sample_LDADD = $(test_ldadd)
t_store_h5set_SOURCES = tests/t_store_h5set.c
t_store_h5set_LDADD = $(test_ldadd) $(HDF5_LIBS) -lpthread
t_store_kill_SOURCES = tests/t_store_kill.c
t_store_kill_LDADD = $(test_ldadd)
