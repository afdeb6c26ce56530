# src/train - the loop, where net, optim, data, comm and store meet
libhalfspec_la_SOURCES += \
	src/train/train.h \
	src/train/train.c \
	src/train/trainer.c \
	src/train/setup.c \
	src/train/planning.c \
	src/train/options.c \
	src/train/intake.c \
	src/train/replay.c \
	src/train/step.c \
	src/train/shards.c \
	src/train/evaluate.c \
	src/train/eval.c \
	src/train/output.c \
	src/train/progress.c \
	src/train/tables.c \
	src/train/footprint.c \
	src/train/history.c \
	src/train/layer_clock.c \
	src/train/provenance.c \
	src/train/enter.c \
	src/train/resume.c \
	src/train/save.c \
	src/train/warm.c \
	src/train/diagnose.c \
	src/train/signals.c \
	src/train/watchdog.c
