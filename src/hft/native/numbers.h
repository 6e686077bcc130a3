/* Numbers of 16 bits, and random numbers.
 *
 * Dropout: 16 random bits an element from Philox4x32 with 7 rounds (Salmon et al., "Parallel random numbers: as easy
 * as 1, 2, 3", 2011: the fewest that pass BigCrush). A number depends on its seed and place alone, so that the backward
 * pass draws again what the forward pass drew. `dropped` is how many of 65,536 values of the bits drop an element.
 */

#ifndef HFT_NUMBERS_H
#define HFT_NUMBERS_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

typedef uint16_t bf16;

#define LANES 16
typedef float lanes __attribute__((vector_size(64)));
typedef uint32_t words __attribute__((vector_size(64)));
typedef uint16_t halves __attribute__((vector_size(32)));
#define DRAWS (8 * LANES) /* numbers that LANES counters give */

static inline float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

static inline uint32_t to_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits;
}

static inline float widen(bf16 value) { return from_bits((uint32_t)value << 16); }

/* To the nearest, ties to even. */
static inline bf16 narrow(float value)
{
    uint32_t bits = to_bits(value);
    uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    return (bf16)((bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : rounded);
}

/* The upper and the lower word of the products with a number. */
static inline void multiply_words(words values, uint32_t by, words *upper, words *lower)
{
#if defined(__AVX512F__)
    __m512i factor = _mm512_set1_epi64(by);
    __m512i even = _mm512_mul_epu32((__m512i)values, factor);
    __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64((__m512i)values, 32), factor);
    *upper = (words)_mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd);
    *lower = (words)_mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
#else
    for (int lane = 0; lane < LANES; lane++) {
        uint64_t product = (uint64_t)by * values[lane];
        (*upper)[lane] = (uint32_t)(product >> 32);
        (*lower)[lane] = (uint32_t)product;
    }
#endif
}

/* DRAWS random numbers of 16 bits: those of counters block * LANES and after. */
static inline void draw_block(uint64_t seed, uint64_t block, uint16_t *restrict numbers)
{
    uint64_t counter = block * LANES; /* that of the first lane: its lower word is not used up by the others */
    uint32_t key = (uint32_t)seed, other_key = (uint32_t)(seed >> 32);
    words state[4] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {0}, {0}, {0}};
    state[0] += (uint32_t)counter;
    state[1] += (uint32_t)(counter >> 32);
    for (int round = 0; round < 7; round++) {
        words left, right, left_upper, right_upper;
        multiply_words(state[0], 0xD2511F53u, &left_upper, &left);
        multiply_words(state[2], 0xCD9E8D57u, &right_upper, &right);
        state[0] = right_upper ^ state[1] ^ key;
        state[2] = left_upper ^ state[3] ^ other_key;
        state[1] = right;
        state[3] = left;
        key += 0x9E3779B9u;
        other_key += 0xBB67AE85u;
    }
    for (int word = 0; word < 4; word++) {
        halves lower = __builtin_convertvector(state[word] & 0xffff, halves);
        halves upper = __builtin_convertvector(state[word] >> 16, halves);
        memcpy(numbers + word * LANES, &lower, sizeof lower);
        memcpy(numbers + (4 + word) * LANES, &upper, sizeof upper);
    }
}

#endif
