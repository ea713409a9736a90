// Products of one A that share a launch, since starting one takes as long as some products of few rows: a
// layer's query, key and value, or gate and up. There are up to three; all but the first may have no columns.
// Groups along axis 0 are those of the first product, then those of the second, then those of the third.
#include "typed.h"

#define PRODUCT_ARGUMENTS(i)                                                                                 \
  VIEW_ALIASED(float, c##i), GLOBAL const void *b##i, ulong b##i##_first, uint n_end##i, uint b_n##i,        \
      uint b_type##i

/// The columns of C that a group computes, and B, stored [N,K].
typedef struct Share {
  GLOBAL float *c; // element (0, 0)
  uint c_pitch;
  GLOBAL const void *b; // rows lie b_n apart
  uint b_n, b_type;
  uint n, n_end; // the group's first column, and columns of C
} Share;

/// `share` becomes that of product i if the group is one of its, which are counted from `first` on and
/// compute `cols` columns each. `first` becomes the next product's.
#define CHOOSE(i, cols)                                                                                      \
  if (group_id(0) >= first && group_id(0) - first < (n_end##i + (cols)-1) / (cols)) {                        \
    share.c = c##i + c##i##_first;                                                                           \
    share.c_pitch = c##i##_pitch;                                                                            \
    share.b = skip_typed(b##i, b##i##_first, b_type##i);                                                     \
    share.b_n = b_n##i;                                                                                      \
    share.b_type = b_type##i;                                                                                \
    share.n = (group_id(0) - first) * (cols);                                                                \
    share.n_end = n_end##i;                                                                                  \
  }                                                                                                          \
  first += (n_end##i + (cols)-1) / (cols);

/// Declares `share`, the group's.
#define CHOOSE_PRODUCT(cols)                                                                                 \
  Share share = {c0, 0, b0, 0, 0, 0, 0};                                                                     \
  uint first = 0;                                                                                            \
  CHOOSE(0, cols)                                                                                            \
  CHOOSE(1, cols)                                                                                            \
  CHOOSE(2, cols)
