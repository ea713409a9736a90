// FNV-1a, 64 bits (Fowler, Noll, Vo; draft-eastlake-fnv), and SHA-256 (FIPS 180-4) by Nettle.
#include "util/hash.h"

#include <nettle/base16.h>
#include <nettle/sha2.h>

uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size) {
  const unsigned char *byte = bytes;
  for (size_t i = 0; i < size; i++) hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
  return hash;
}

void hash_sha256(const void *bytes, size_t size, char out[SHA256_TEXT]) {
  struct sha256_ctx context;
  uint8_t digest[SHA256_DIGEST_SIZE];
  sha256_init(&context);
  sha256_update(&context, size, bytes);
  sha256_digest(&context, sizeof digest, digest);
  base16_encode_update(out, sizeof digest, digest);
  out[SHA256_TEXT - 1] = '\0';
}
