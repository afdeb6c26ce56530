/* layers.c - the list of layer kinds. A new layer is one file that defines its hs_layer_kind, and one line here. */
#include "net.h"

extern const hs_layer_kind hs_layer_conv, hs_layer_tanh, hs_layer_modrelu, hs_layer_soft, hs_layer_spool, hs_layer_fd, hs_layer_max,
    hs_layer_average, hs_layer_global, hs_layer_dense, hs_layer_dropout, hs_layer_bn;

const hs_layer_kind *const hs_layer_kinds[] = {
    &hs_layer_conv,  &hs_layer_relu,    &hs_layer_tanh,   &hs_layer_modrelu, &hs_layer_soft,    &hs_layer_spool, &hs_layer_fd, &hs_layer_max,
    &hs_layer_average, &hs_layer_global, &hs_layer_dense, &hs_layer_dropout, &hs_layer_bn, NULL,
};
