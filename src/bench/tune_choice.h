// The choice from what was measured, which a test gives other times. Private to the room.
#pragma once

#include "bench/tune.h"

/// Fills in result->choice from its candidates and seconds.
void tune_choose(const GemmChoice *usual, TuneResult *result);
