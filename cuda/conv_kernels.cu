/* conv_kernels.cu - the kernels of convolution in space as a unit of their own: a dozen variants of two kernels take longer to
 * compile than all the others. */
#include "conv_pool.cu"
#include "conv_pool_dense.cu"
#include "conv_pool_taps.cu"
#include "conv_rows.cu"
#include "conv_taps.cu"
