#!/bin/sh
# t_cuda_ways.sh - every op case of convolution once more by each way in space that t_cuda_ops does not choose by itself.
. "$srcdir/tests/lib.sh"
for way in windows cudnn cudnn-apart product; do
    HALFSPEC_CUDA_CONV=$way HALFSPEC_CUDNN=$PWD/.libs/libfakecudnn.so ./t_cuda_ops "conv direct" > "t_cuda_ways.$$" 2>&1
    code=$?
    [ $code = 0 ] || sed 's/^/# /' "t_cuda_ways.$$"
    check "all cases by $way agree with ref" [ $code = 0 ]
done
rm -f "t_cuda_ways.$$"
done_testing
