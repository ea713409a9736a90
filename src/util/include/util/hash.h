// FNV-1a, 64 bits, for names of cache files and fingerprints of configurations. It does not protect against
// an attacker.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HASH_START UINT64_C(0xcbf29ce484222325)

/// Continues `hash`, which is HASH_START at first, over `size` bytes.
uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size);
