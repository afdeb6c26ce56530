# src/net
libhalfspec_la_SOURCES += src/net/net.h src/net/notation.h src/net/net.c src/net/notation.c src/net/presets.c src/net/graph.c src/net/layers.c \
	src/net/layer_conv.c src/net/layer_relu_tanh.c src/net/layer_window.c src/net/layer_dense.c src/net/layer_dropout.c src/net/layer_spool.c \
	src/net/layer_fd.c src/net/layer_modulus.c src/net/layer_bn.c src/net/layer_graph.c src/net/layer_transform.c \
	src/net/fuse.c src/net/plan.c src/net/measure.c src/net/wisdom.c src/net/memory.c src/net/pass.c src/net/filters.c src/net/init.c
