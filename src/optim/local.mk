# src/optim - optimizers, schedules, penalties
libhalfspec_la_SOURCES += src/optim/schedule.c src/optim/tables.c src/optim/penalty.c src/optim/optim.c src/optim/flow.c src/optim/of_net.c \
	src/optim/optim_internal.h
