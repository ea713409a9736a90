// The quantised types that kernels read as they are stored. Each has a decoder block_<type> in blocks.h. The
// host includes this list too, so nothing else says which types these are; ops passes the sizes of their
// blocks as ELEMENTS_<type> and BYTES_<type>, from util/dtype.h.
#define BLOCK_LIST(BLOCK_ROW)                                                                                \
  BLOCK_ROW(Q8_0)                                                                                            \
  BLOCK_ROW(Q4_0)                                                                                            \
  BLOCK_ROW(Q4_1)                                                                                            \
  BLOCK_ROW(Q5_0)                                                                                            \
  BLOCK_ROW(Q5_1)                                                                                            \
  BLOCK_ROW(Q2_K)                                                                                            \
  BLOCK_ROW(Q3_K)                                                                                            \
  BLOCK_ROW(Q4_K)                                                                                            \
  BLOCK_ROW(Q5_K)                                                                                            \
  BLOCK_ROW(Q6_K)                                                                                            \
  BLOCK_ROW(IQ4_NL)                                                                                          \
  BLOCK_ROW(IQ4_XS)                                                                                          \
  BLOCK_ROW(MXFP4)                                                                                           \
  BLOCK_ROW(NF4)
