# tests of store
store_tests = t_store_checkpoint t_store_damage
check_PROGRAMS += $(store_tests)
TESTS += $(store_tests)
EXTRA_DIST += tests/store_fixture.h
t_store_checkpoint_SOURCES = tests/t_store_checkpoint.c
t_store_checkpoint_LDADD = $(test_ldadd)
t_store_damage_SOURCES = tests/t_store_damage.c
t_store_damage_LDADD = $(test_ldadd)
