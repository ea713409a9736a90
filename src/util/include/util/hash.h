// Two hashes. FNV-1a is for names of cache files and fingerprints of configurations, and does not protect
// against an attacker. SHA-256 says whether two contents are the same.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HASH_START UINT64_C(0xcbf29ce484222325)

/// FNV-1a: continues `hash`, which is HASH_START at first, over `size` bytes.
uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size);

enum { SHA256_TEXT = 65 };

/// out = the SHA-256 of `size` bytes as 64 lower-case hexadecimal digits. Some 2 GB/s where the processor has
/// instructions for it, 0.5 GB/s elsewhere.
void hash_sha256(const void *bytes, size_t size, char out[SHA256_TEXT]);
