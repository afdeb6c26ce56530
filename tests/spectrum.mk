# tests of spectrum
check_PROGRAMS += t_spectrum_coords t_spectrum_pool t_spectrum_arm t_spectrum_stats
TESTS += t_spectrum_coords t_spectrum_pool t_spectrum_arm t_spectrum_stats tests/t_spectrum_numpy.py
t_spectrum_coords_SOURCES = tests/t_spectrum_coords.c tests/spectrum_test.h
t_spectrum_coords_LDADD = $(test_ldadd)
t_spectrum_pool_SOURCES = tests/t_spectrum_pool.c tests/spectrum_test.h tests/spectrum_reference.h
t_spectrum_pool_LDADD = $(test_ldadd)
t_spectrum_arm_SOURCES = tests/t_spectrum_arm.c tests/spectrum_test.h
t_spectrum_arm_LDADD = $(test_ldadd)
t_spectrum_stats_SOURCES = tests/t_spectrum_stats.c tests/spectrum_test.h
t_spectrum_stats_LDADD = $(test_ldadd)
EXTRA_DIST += tests/t_spectrum_numpy.py tests/make_spectrum_reference.py
