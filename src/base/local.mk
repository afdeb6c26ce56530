# src/base - services that know nothing of networks
libhalfspec_la_SOURCES += src/base/status.c src/base/log.c
