# include - installed as <halfspec/halfspec.h> and its parts.
halfspecincludedir = $(includedir)/halfspec
halfspecinclude_HEADERS = include/halfspec.h include/hs_backend.h include/hs_base.h include/hs_bench.h include/hs_comm.h include/hs_config.h \
	include/hs_augment.h include/hs_data.h include/hs_keys.def include/hs_log.h include/hs_net.h include/hs_optim.h include/hs_rng.h \
	include/hs_spectrum.h include/hs_status.h include/hs_store.h include/hs_train.h include/hs_types.h
