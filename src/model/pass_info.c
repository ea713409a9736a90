// What a pass tells of itself.
#include "parts.h"

const PassOptions *pass_options(const Pass *pass) { return &pass->options; }

Model *pass_model(const Pass *pass) { return pass->model; }
