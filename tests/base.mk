# tests of base
check_PROGRAMS += t_base_config t_base_file t_base_sha256 t_base_rng t_base_lease t_base_claim t_base_text
TESTS += t_base_config t_base_file t_base_sha256 t_base_rng t_base_lease t_base_claim t_base_text
t_base_config_SOURCES = tests/t_base_config.c
t_base_config_LDADD = $(test_ldadd)
t_base_file_SOURCES = tests/t_base_file.c
t_base_file_LDADD = $(test_ldadd)
t_base_sha256_SOURCES = tests/t_base_sha256.c
t_base_sha256_LDADD = $(test_ldadd)
t_base_rng_SOURCES = tests/t_base_rng.c
t_base_rng_LDADD = $(test_ldadd)
t_base_lease_SOURCES = tests/t_base_lease.c
t_base_lease_LDADD = $(test_ldadd)
t_base_text_SOURCES = tests/t_base_text.c
t_base_text_LDADD = $(test_ldadd)
t_base_claim_SOURCES = tests/t_base_claim.c
t_base_claim_LDADD = $(test_ldadd)
