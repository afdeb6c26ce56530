# cuda
