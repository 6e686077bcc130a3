/* What stands between the matrix products of a layer of BERT in training, in bf16: each function reads and writes its
 * tensors once, computes in float32, and draws its dropout where it applies it.
 *
 * Tensors are contiguous, rows first. Each function takes the number of threads; results depend on it in the order of
 * the sums over rows only.
 *
 * Dropout: 16 random bits an element from Philox4x32 with 7 rounds (Salmon et al., "Parallel random numbers: as easy
 * as 1, 2, 3", 2011: the fewest that pass BigCrush). A number depends on its seed and place alone, so that the backward
 * pass draws again what the forward pass drew. `dropped` is how many of 65,536 values of the bits drop an element.
 */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef uint16_t bf16;

#define LANES 16
#define DRAWS (8 * LANES) /* numbers that LANES counters give */
#define SIGN 0x8000
#define MINUS_INFINITY 0xff80
#define ROWS 16           /* rows that share their counters, so that short rows waste few */

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

/* exp of a value of at most 0, off by a few units in the last place; 0 below -87. */
static inline float exp_negative(float value)
{
    float clipped = value < -87.0f ? -87.0f : value;
    float whole = (clipped * 1.44269504f + 12582912.0f) - 12582912.0f;
    float part = clipped - whole * 0.693359375f + whole * 2.12194440e-4f;
    float power = 1.9875691500e-4f;
    power = power * part + 1.3981999507e-3f;
    power = power * part + 8.3334519073e-3f;
    power = power * part + 4.1665795894e-2f;
    power = power * part + 1.6666665459e-1f;
    power = power * part + 5.0000001201e-1f;
    power = power * part * part + part + 1.0f;
    float result = power * from_bits((uint32_t)((int32_t)whole + 127) << 23);
    return value < -87.0f ? 0.0f : result;
}

/* `count` rounded up to what vectors of 16-bit numbers hold. */
static inline int64_t whole_vectors(int64_t count) { return (count + 31) / 32 * 32; }

/* DRAWS random numbers of 16 bits: those of counters block * LANES and after. */
static void draw_block(uint64_t seed, uint64_t block, uint16_t *restrict numbers)
{
    uint32_t first[LANES], second[LANES], third[LANES], fourth[LANES];
    uint32_t key = (uint32_t)seed, other_key = (uint32_t)(seed >> 32);
    for (int lane = 0; lane < LANES; lane++) {
        uint64_t counter = block * LANES + (uint64_t)lane;
        first[lane] = (uint32_t)counter;
        second[lane] = (uint32_t)(counter >> 32);
        third[lane] = fourth[lane] = 0;
    }
    for (int round = 0; round < 7; round++) {
        for (int lane = 0; lane < LANES; lane++) {
            uint64_t left = (uint64_t)0xD2511F53u * first[lane];
            uint64_t right = (uint64_t)0xCD9E8D57u * third[lane];
            first[lane] = (uint32_t)(right >> 32) ^ second[lane] ^ key;
            third[lane] = (uint32_t)(left >> 32) ^ fourth[lane] ^ other_key;
            second[lane] = (uint32_t)right;
            fourth[lane] = (uint32_t)left;
        }
        key += 0x9E3779B9u;
        other_key += 0xBB67AE85u;
    }
    for (int lane = 0; lane < LANES; lane++) {
        numbers[lane] = (uint16_t)first[lane];
        numbers[LANES + lane] = (uint16_t)second[lane];
        numbers[2 * LANES + lane] = (uint16_t)third[lane];
        numbers[3 * LANES + lane] = (uint16_t)fourth[lane];
        numbers[4 * LANES + lane] = (uint16_t)(first[lane] >> 16);
        numbers[5 * LANES + lane] = (uint16_t)(second[lane] >> 16);
        numbers[6 * LANES + lane] = (uint16_t)(third[lane] >> 16);
        numbers[7 * LANES + lane] = (uint16_t)(fourth[lane] >> 16);
    }
}

static int64_t drawn_size(int64_t width) { return (ROWS * width + DRAWS - 1) / DRAWS * DRAWS; }

/* The numbers of a group of ROWS rows. */
static void draw_rows(uint64_t seed, int64_t group, int64_t width, uint16_t *numbers)
{
    int64_t blocks = drawn_size(width) / DRAWS;
    for (int64_t block = 0; block < blocks; block++)
        draw_block(seed, (uint64_t)(group * blocks + block), numbers + block * DRAWS);
}

/* For tests: the numbers that rows get, [rows, width]. */
void hft_draw(uint64_t seed, int64_t rows, int64_t width, uint16_t *result, int threads)
{
    (void)threads;
    uint16_t *numbers = malloc((size_t)drawn_size(width) * 2);
    for (int64_t group = 0; group * ROWS < rows; group++) {
        int64_t count = rows - group * ROWS < ROWS ? rows - group * ROWS : ROWS;
        draw_rows(seed, group, width, numbers);
        memcpy(result + group * ROWS * width, numbers, (size_t)(count * width) * 2);
    }
    free(numbers);
}

/* Layer norm of residual + dropout(branch + branch_bias); keeps the normalised sum and the scale of each row. */
void hft_residual_norm(const bf16 *restrict branch, const float *restrict branch_bias, const bf16 *restrict residual,
                       const float *restrict weight, const float *restrict bias, float eps, uint64_t seed,
                       uint32_t dropped, bf16 *restrict result, bf16 *restrict normed, float *restrict scales,
                       int64_t rows, int64_t width, int threads)
{
    float factor = 65536.0f / (65536.0f - (float)dropped);
#pragma omp parallel num_threads(threads)
    {
        uint16_t *numbers = calloc((size_t)drawn_size(width), 2);
        float *sum = malloc((size_t)width * 4);
#pragma omp for schedule(static)
        for (int64_t group = 0; group < (rows + ROWS - 1) / ROWS; group++) {
            if (dropped)
                draw_rows(seed, group, width, numbers);
            for (int64_t row = group * ROWS; row < rows && row < (group + 1) * ROWS; row++) {
                const uint16_t *drawn = numbers + (row - group * ROWS) * width;
                const bf16 *of_branch = branch + row * width, *of_residual = residual + row * width;
                float total = 0.0f, squares = 0.0f;
#pragma omp simd reduction(+ : total)
                for (int64_t i = 0; i < width; i++) {
                    float kept = drawn[i] < dropped ? 0.0f : (widen(of_branch[i]) + branch_bias[i]) * factor;
                    sum[i] = kept + widen(of_residual[i]);
                    total += sum[i];
                }
                float mean = total / (float)width;
#pragma omp simd reduction(+ : squares)
                for (int64_t i = 0; i < width; i++)
                    squares += (sum[i] - mean) * (sum[i] - mean);
                float scale = 1.0f / sqrtf(squares / (float)width + eps);
                scales[row] = scale;
                bf16 *to_normed = normed + row * width, *to_result = result + row * width;
#pragma omp simd
                for (int64_t i = 0; i < width; i++) {
                    float value = (sum[i] - mean) * scale;
                    to_normed[i] = narrow(value);
                    to_result[i] = narrow(value * weight[i] + bias[i]);
                }
            }
        }
        free(numbers);
        free(sum);
    }
}

/* Adds up each thread's sums over its rows, [threads, count], in the order of the threads. */
static void add_up(const float *restrict partial, int threads, int64_t count, float *restrict result)
{
    memset(result, 0, (size_t)count * 4);
    for (int thread = 0; thread < threads; thread++)
        for (int64_t i = 0; i < count; i++)
            result[i] += partial[thread * count + i];
}

/* The rows of a thread, in whole groups of ROWS. */
static void rows_of(int thread, int threads, int64_t rows, int64_t *start, int64_t *stop)
{
    int64_t groups = (rows + ROWS - 1) / ROWS;
    *start = groups * thread / threads * ROWS;
    *stop = groups * (thread + 1) / threads * ROWS;
    if (*stop > rows)
        *stop = rows;
}

/* The backward pass of hft_residual_norm. The gradient is that of the result, `more` (or NULL) is added to it.
 * sums: [3, width], of weight, bias and branch_bias. */
void hft_residual_norm_backward(const bf16 *restrict gradient, const bf16 *restrict more, const bf16 *restrict normed,
                                const float *restrict scales, const float *restrict weight, uint64_t seed,
                                uint32_t dropped, bf16 *restrict to_residual, bf16 *restrict to_branch,
                                float *restrict sums, int64_t rows, int64_t width, int threads)
{
    float factor = 65536.0f / (65536.0f - (float)dropped);
    float *partial = calloc((size_t)(threads * 3 * width), 4);
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int thread = 0; thread < threads; thread++) {
        float *to_weight = partial + thread * 3 * width, *to_bias = to_weight + width, *to_branch_bias = to_bias + width;
        uint16_t *numbers = calloc((size_t)drawn_size(width), 2);
        float *whole = malloc((size_t)width * 4);
        int64_t start, stop;
        rows_of(thread, threads, rows, &start, &stop);
        for (int64_t row = start; row < stop; row++) {
            if (dropped && row % ROWS == 0)
                draw_rows(seed, row / ROWS, width, numbers);
            const uint16_t *drawn = numbers + row % ROWS * width;
            const bf16 *given = gradient + row * width, *given_more = more ? more + row * width : NULL;
            const bf16 *of_normed = normed + row * width;
            float total = 0.0f, along = 0.0f;
            if (given_more)
#pragma omp simd
                for (int64_t i = 0; i < width; i++)
                    whole[i] = widen(given[i]) + widen(given_more[i]);
            else
#pragma omp simd
                for (int64_t i = 0; i < width; i++)
                    whole[i] = widen(given[i]);
#pragma omp simd reduction(+ : total, along)
            for (int64_t i = 0; i < width; i++) {
                float value = widen(of_normed[i]);
                to_weight[i] += whole[i] * value;
                to_bias[i] += whole[i];
                whole[i] *= weight[i];
                total += whole[i];
                along += whole[i] * value;
            }
            float mean = total / (float)width, slope = along / (float)width, scale = scales[row];
            bf16 *out_residual = to_residual + row * width, *out_branch = to_branch + row * width;
#pragma omp simd
            for (int64_t i = 0; i < width; i++) {
                float value = (whole[i] - mean - widen(of_normed[i]) * slope) * scale;
                out_residual[i] = narrow(value);
                float kept = drawn[i] < dropped ? 0.0f : value * factor;
                out_branch[i] = narrow(kept);
                to_branch_bias[i] += kept;
            }
        }
        free(numbers);
        free(whole);
    }
    add_up(partial, threads, 3 * width, sums);
    free(partial);
}

/* GELU (Hendrycks and Gimpel, 2016) of values + bias; `values` becomes its derivative there.
 * The normal distribution's tail is Abramowitz and Stegun's 7.1.26, off by 1.5e-7. */
void hft_gelu(bf16 *restrict values, const float *restrict bias, bf16 *restrict result, int64_t rows, int64_t width,
              int threads)
{
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        bf16 *of_row = values + row * width, *to_row = result + row * width;
#pragma omp simd
        for (int64_t i = 0; i < width; i++) {
            float value = widen(of_row[i]) + bias[i];
            float bell = exp_negative(-0.5f * value * value);
            float t = 1.0f / (1.0f + 0.3275911f * 0.70710678f * fabsf(value));
            float poly = 1.061405429f;
            poly = poly * t - 1.453152027f;
            poly = poly * t + 1.421413741f;
            poly = poly * t - 0.284496736f;
            poly = poly * t + 0.254829592f;
            float tail = 0.5f * poly * t * bell;
            float share = value < 0.0f ? tail : 1.0f - tail;
            to_row[i] = narrow(value * share);
            of_row[i] = narrow(share + value * 0.39894228f * bell);
        }
    }
}

/* values *= by, and the sums of the products over the rows, [width]. */
void hft_multiply(bf16 *restrict values, const bf16 *restrict by, float *restrict sums, int64_t rows, int64_t width,
                  int threads)
{
    float *partial = calloc((size_t)(threads * width), 4);
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int thread = 0; thread < threads; thread++) {
        float *sum = partial + thread * width;
        int64_t start, stop;
        rows_of(thread, threads, rows, &start, &stop);
        for (int64_t row = start; row < stop; row++) {
            bf16 *of_row = values + row * width;
            const bf16 *by_row = by + row * width;
#pragma omp simd
            for (int64_t i = 0; i < width; i++) {
                float product = widen(of_row[i]) * widen(by_row[i]);
                of_row[i] = narrow(product);
                sum[i] += product;
            }
        }
    }
    add_up(partial, threads, width, sums);
    free(partial);
}

/* [texts, tokens, kinds, heads, width of a head] + bias (or NULL) to [kinds, texts, heads, tokens, width of a head]. */
void hft_split_heads(const bf16 *restrict values, const float *restrict bias, bf16 *restrict result, int64_t texts,
                     int64_t tokens, int64_t kinds, int64_t heads, int64_t head_width, int threads)
{
#pragma omp parallel for num_threads(threads) schedule(static) collapse(2)
    for (int64_t text = 0; text < texts; text++)
        for (int64_t part = 0; part < kinds * heads; part++) {
            int64_t kind = part / heads, head = part % heads;
            bf16 *to = result + ((kind * texts + text) * heads + head) * tokens * head_width;
            const bf16 *from = values + (text * tokens * kinds * heads + part) * head_width;
            for (int64_t token = 0; token < tokens; token++) {
                const bf16 *of_token = from + token * kinds * heads * head_width;
                bf16 *to_token = to + token * head_width;
                if (bias) {
                    const float *of_bias = bias + part * head_width;
#pragma omp simd
                    for (int64_t i = 0; i < head_width; i++)
                        to_token[i] = narrow(widen(of_token[i]) + of_bias[i]);
                } else
                    memcpy(to_token, of_token, (size_t)head_width * 2);
            }
        }
}

/* The way back of hft_split_heads; sums (or NULL): over texts and tokens, [kinds, heads, width of a head], added to. */
void hft_join_heads(const bf16 *restrict values, bf16 *restrict result, float *restrict sums, int64_t texts,
                    int64_t tokens, int64_t kinds, int64_t heads, int64_t head_width, int threads)
{
    int64_t width = kinds * heads * head_width;
    float *partial = sums ? calloc((size_t)(threads * width), 4) : NULL;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int thread = 0; thread < threads; thread++) {
        int64_t start, stop;
        rows_of(thread, threads, texts * tokens, &start, &stop);
        for (int64_t row = start; row < stop; row++) {
            int64_t text = row / tokens, token = row % tokens;
            bf16 *to = result + row * width;
            for (int64_t part = 0; part < kinds * heads; part++) {
                int64_t kind = part / heads, head = part % heads;
                const bf16 *from = values + (((kind * texts + text) * heads + head) * tokens + token) * head_width;
                memcpy(to + part * head_width, from, (size_t)head_width * 2);
            }
            if (partial) {
                float *sum = partial + thread * width;
#pragma omp simd
                for (int64_t i = 0; i < width; i++)
                    sum[i] += widen(to[i]);
            }
        }
    }
    if (partial)
        for (int thread = 0; thread < threads; thread++)
            for (int64_t i = 0; i < width; i++)
                sums[i] += partial[thread * width + i];
    free(partial);
}

/* Softmax over the first lengths[text] of `tokens` keys, and dropout, of scores [count, tokens, tokens]; `start` is
 * the place of the first among those of all texts and heads. `scores` becomes what dropout keeps (not scaled up), `soft`
 * the softmax, with a minus where it was dropped. Rows of padding become zeros. */
void hft_softmax(bf16 *restrict scores, bf16 *restrict soft, const int32_t *restrict lengths, int64_t start,
                 int64_t count, int64_t heads, int64_t tokens, uint64_t seed, uint32_t dropped, int threads)
{
    int64_t groups = (tokens + ROWS - 1) / ROWS, padded = whole_vectors(tokens);
#pragma omp parallel num_threads(threads)
    {
        uint16_t *numbers = calloc((size_t)(drawn_size(tokens) + padded), 2);
        float *exps = malloc((size_t)padded * 4);
        bf16 *given = malloc((size_t)padded * 2), *signs = malloc((size_t)padded * 2);
#pragma omp for schedule(static)
        for (int64_t at = 0; at < count * groups; at++) {
            int64_t of_text = at / groups, group = at % groups, length = lengths[(start + of_text) / heads];
            int64_t end = (group + 1) * ROWS < tokens ? (group + 1) * ROWS : tokens;
            if (dropped && group * ROWS < length)
                draw_rows(seed, (start + of_text) * groups + group, tokens, numbers);
            for (int64_t row = group * ROWS; row < end; row++) {
                bf16 *of_row = scores + (of_text * tokens + row) * tokens;
                bf16 *to_row = soft + (of_text * tokens + row) * tokens;
                if (row >= length) {
                    memset(of_row, 0, (size_t)tokens * 2);
                    memset(to_row, 0, (size_t)tokens * 2);
                    continue;
                }
                const uint16_t *drawn = numbers + (row - group * ROWS) * tokens;
                memcpy(given, of_row, (size_t)length * 2);
                for (int64_t i = length; i < padded; i++)
                    given[i] = MINUS_INFINITY;
                float most = -INFINITY, total = 0.0f;
#pragma omp simd reduction(max : most)
                for (int64_t i = 0; i < padded; i++) {
                    float value = widen(given[i]);
                    most = value > most ? value : most;
                }
#pragma omp simd reduction(+ : total)
                for (int64_t i = 0; i < padded; i++) {
                    exps[i] = exp_negative(widen(given[i]) - most);
                    total += exps[i];
                }
                float scale = 1.0f / total;
#pragma omp simd
                for (int64_t i = 0; i < padded; i++)
                    given[i] = narrow(exps[i] * scale);
#pragma omp simd
                for (int64_t i = 0; i < padded; i++) {
                    uint16_t drop = drawn[i] < dropped ? 0xffff : 0;
                    signs[i] = given[i] | (drop & SIGN);
                    given[i] = given[i] & (uint16_t)~drop;
                }
                memcpy(to_row, signs, (size_t)tokens * 2);
                memcpy(of_row, given, (size_t)tokens * 2);
            }
        }
        free(numbers);
        free(exps);
        free(given);
        free(signs);
    }
}

/* The backward pass: `gradient` [count, tokens, tokens], that of what dropout kept, becomes that of the scores, and
 * `kept` becomes what dropout kept. */
void hft_softmax_backward(bf16 *restrict gradient, const bf16 *restrict soft, bf16 *restrict kept, int64_t count,
                          int64_t tokens, int threads)
{
    int64_t padded = whole_vectors(tokens);
#pragma omp parallel num_threads(threads)
    {
        bf16 *given = calloc((size_t)padded, 2), *shares = calloc((size_t)padded, 2), *left = malloc((size_t)padded * 2);
#pragma omp for schedule(static)
        for (int64_t row = 0; row < count * tokens; row++) {
            bf16 *of_row = gradient + row * tokens;
            memcpy(given, of_row, (size_t)tokens * 2);
            memcpy(shares, soft + row * tokens, (size_t)tokens * 2);
            float along = 0.0f;
#pragma omp simd reduction(+ : along)
            for (int64_t i = 0; i < padded; i++) {
                left[i] = shares[i] & SIGN ? 0 : shares[i];
                along += widen(left[i]) * widen(given[i]);
            }
#pragma omp simd
            for (int64_t i = 0; i < padded; i++) {
                float share = widen(shares[i] & (uint16_t)~SIGN);
                given[i] = narrow(widen(left[i]) * widen(given[i]) - share * along);
            }
            memcpy(of_row, given, (size_t)tokens * 2);
            memcpy(kept + row * tokens, left, (size_t)tokens * 2);
        }
        free(given);
        free(shares);
        free(left);
    }
}
