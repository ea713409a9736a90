// The embedding table's rows and their gradient.
#include "convert.h"
#include "grid.h"
#include "ops/ops.h"
#include "util/memory.h"

Status op_embed(Tensor *out, const Tensor *table, const Tensor *ids) {
  TRY(ops_check_type("op_embed", "ids", ids, DTYPE_I32));
  TRY(ops_check_shape("op_embed", "ids", ids, 1, out->rows));
  TRY(ops_check_shape("op_embed", "out", out, out->rows, table->cols));
  TRY(ops_check_readable("op_embed", "table", table));
  Tensor rows = tensor_rows(table, 0, size_min(out->rows, table->rows));
  OPERATION(out->ops, "embed", 0, out, &rows, ids);
  return LAUNCH(out->ops, embed, grid_rows(out->ops, out->rows), ARG_TENSOR(out), ARG_TENSOR(table),
                ARG_TENSOR(ids), ARG_UINT(table->cols), ARG_UINT(table->dtype));
}

Status op_embed_backward(Tensor *dtable, const Tensor *dout, const Tensor *ids, const Tensor *order) {
  TRY(ops_check_type("op_embed_backward", "dtable", dtable, DTYPE_F32));
  TRY(ops_check_type("op_embed_backward", "ids", ids, DTYPE_I32));
  TRY(ops_check_type("op_embed_backward", "order", order, DTYPE_I32));
  TRY(ops_check_shape("op_embed_backward", "ids", ids, 1, dout->rows));
  TRY(ops_check_shape("op_embed_backward", "order", order, 1, dout->rows));
  TRY(ops_check_shape("op_embed_backward", "dout", dout, dout->rows, dtable->cols));
  OPERATION(dtable->ops, "embed backward", 0, dout, dout, dout, ids,
            order); // rows of dtable, read and written
  return LAUNCH(dtable->ops, embed_backward, grid_rows(dtable->ops, dout->rows), ARG_TENSOR(dtable),
                ARG_TENSOR(dout), ARG_TENSOR(ids), ARG_TENSOR(order), ARG_UINT(dout->rows),
                ARG_UINT(dout->cols));
}
