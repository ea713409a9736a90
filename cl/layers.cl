// Every kernel but products and attention, as one program: a driver's compiler starts once for all of them.
// pocl takes 35 ms to find out that it knows a program. Products and attention stay apart: they name their
// tiles by macros.
#include "adamw.cl"
#include "add.cl"
#include "convert.cl"
#include "cross_entropy.cl"
#include "divergence.cl"
#include "dropout.cl"
#include "embed.cl"
#include "entropy.cl"
#include "linear.cl"
#include "rmsnorm.cl"
#include "rope.cl"
#include "rows.cl"
#include "sample.cl"
#include "swiglu.cl"
