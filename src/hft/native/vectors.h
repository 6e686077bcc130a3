/* Vectors of 16 numbers: to and from memory, to bf16, and functions of them. */

#ifndef HFT_VECTORS_H
#define HFT_VECTORS_H

#include "numbers.h"

typedef int32_t integers __attribute__((vector_size(64)));

static inline lanes load_lanes(const float *from)
{
    lanes value;
    memcpy(&value, from, 64);
    return value;
}

static inline void store_lanes(float *to, lanes value) { memcpy(to, &value, 64); }

/* To bf16, in the upper half of each word; as narrow(). */
__attribute__((unused)) static inline words round_lanes(lanes value)
{
    words bits = (words)value;
    words is_number = (words)(value == value);
    words rounded = bits + 0x7fff + ((bits >> 16) & 1);
    return (rounded & is_number) | (0x7fc00000 & ~is_number);
}

static inline void store_halves(bf16 *to, lanes values)
{
#if defined(__AVX512BF16__)
    __m256bh narrowed = _mm512_cvtneps_pbh((__m512)values);
#else
    halves narrowed = __builtin_convertvector(round_lanes(values) >> 16, halves);
#endif
    memcpy(to, &narrowed, 32);
}

/* Two times 16 numbers, one after the other. */
static inline void store_row(bf16 *to, lanes first, lanes second)
{
#if defined(__AVX512BF16__)
    __m512bh both = _mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
    memcpy(to, &both, 64);
#else
    store_halves(to, first);
    store_halves(to + LANES, second);
#endif
}

/* Two rows of 16 numbers as a row of pairs. */
static inline void store_pairs(bf16 *to, lanes upper, lanes lower)
{
#if defined(__AVX512BF16__) && defined(__AVX512BW__)
    __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)lower, (__m512)upper);
    static const uint16_t order[32] __attribute__((aligned(64))) = {
        0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    __m512i pairs = _mm512_permutexvar_epi16(_mm512_load_si512(order), both);
    memcpy(to, &pairs, 64);
#else
    words pairs = round_lanes(upper) >> 16 | (round_lanes(lower) & 0xffff0000u);
    memcpy(to, &pairs, 64);
#endif
}

static inline lanes widen_lanes(const bf16 *from)
{
    halves narrowed;
    memcpy(&narrowed, from, 32);
    return (lanes)(__builtin_convertvector(narrowed, words) << 16);
}

static inline words load_words(const bf16 *from)
{
    words value;
    memcpy(&value, from, 64);
    return value;
}

/* sum + numbers[0] * the first of each pair + numbers[1] * the second. */
static inline lanes add_pairs(lanes sum, const bf16 *numbers, words pairs)
{
#if defined(__AVX512BF16__)
    int both;
    memcpy(&both, numbers, 4);
    return (lanes)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32(both), (__m512bh)pairs);
#else
    sum += widen(numbers[0]) * (lanes)(pairs << 16);
    return sum + widen(numbers[1]) * (lanes)(pairs & 0xffff0000u);
#endif
}

/* Where the bits of `chosen` are set those of `here`, else those of `there`. */
static inline lanes choose(words chosen, lanes here, lanes there)
{
    return (lanes)(((words)here & chosen) | ((words)there & ~chosen));
}

static inline lanes larger(lanes left, lanes right) { return choose((words)(left > right), left, right); }

/* exp of values of at most 0 (or little more), off by a few units in the last place; 0 below -87. */
static inline lanes exp_negative(lanes value)
{
    words too_small = (words)(value < -87.0f);
    lanes clipped = choose(too_small, (lanes){0}, value);
    lanes whole = (clipped * 1.44269504f + 12582912.0f) - 12582912.0f;
    lanes part = clipped - whole * 0.693359375f + whole * 2.12194440e-4f;
    lanes power = part * 1.9875691500e-4f + 1.3981999507e-3f;
    power = power * part + 8.3334519073e-3f;
    power = power * part + 4.1665795894e-2f;
    power = power * part + 1.6666665459e-1f;
    power = power * part + 5.0000001201e-1f;
    power = power * part * part + part + 1.0f;
    words exponent = (words)__builtin_convertvector(whole, integers) + 127;
    return (lanes)((words)(power * (lanes)(exponent << 23)) & ~too_small);
}

/* GELU (Hendrycks and Gimpel, 2016), and its derivative. The normal distribution's tail is Abramowitz and Stegun's
 * 7.1.26, off by 1.5e-7. */
static inline lanes gelu(lanes value, lanes *slope)
{
    lanes bell = exp_negative(-0.5f * value * value), size = (lanes)((words)value & 0x7fffffff);
    lanes t = 1.0f / (1.0f + 0.3275911f * 0.70710678f * size);
    lanes poly = 1.061405429f * t - 1.453152027f;
    poly = poly * t + 1.421413741f;
    poly = poly * t - 0.284496736f;
    poly = poly * t + 0.254829592f;
    lanes tail = 0.5f * poly * t * bell, share = choose((words)(value < 0.0f), tail, 1.0f - tail);
    *slope = share + value * 0.39894228f * bell;
    return value * share;
}

#endif
