/* What stands between the matrix products of a layer of BERT in training, in bf16: each function reads and writes its
 * tensors once, computes in float32, and draws its dropout where it applies it.
 *
 * Tensors are contiguous, rows first. Each function takes the number of threads; results depend on it in the order of
 * the sums over rows only.
 */

#include "scratch.h"
#include "vectors.h"

#define ROWS 16 /* rows that share their counters, so that short rows waste few */

static int64_t drawn_size(int64_t width) { return (ROWS * width + DRAWS - 1) / DRAWS * DRAWS; }

/* The numbers of a group of ROWS rows. */
static void draw_rows(uint64_t seed, int64_t group, int64_t width, uint16_t *numbers)
{
    int64_t blocks = drawn_size(width) / DRAWS;
    for (int64_t block = 0; block < blocks; block++)
        draw_block(seed, (uint64_t)(group * blocks + block), numbers + block * DRAWS);
}

/* For tests: the numbers that rows get, [rows, width]. */
int hft_draw(uint64_t seed, int64_t rows, int64_t width, uint16_t *result, int threads)
{
    (void)threads;
    uint16_t *numbers = malloc((size_t)drawn_size(width) * 2);
    for (int64_t group = 0; group * ROWS < rows; group++) {
        int64_t count = rows - group * ROWS < ROWS ? rows - group * ROWS : ROWS;
        draw_rows(seed, group, width, numbers);
        memcpy(result + group * ROWS * width, numbers, (size_t)(count * width) * 2);
    }
    free(numbers);
    return DONE;
}

/* Layer norm of residual + dropout(branch + branch_bias); keeps the normalised sum and the scale of each row. */
int hft_residual_norm(const bf16 *restrict branch, const float *restrict branch_bias, const bf16 *restrict residual,
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
    return DONE;
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
int hft_residual_norm_backward(const bf16 *restrict gradient, const bf16 *restrict more, const bf16 *restrict normed,
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
    return DONE;
}

/* GELU of values + bias; `values` becomes its derivative there. */
int hft_gelu(bf16 *restrict values, const float *restrict bias, bf16 *restrict result, int64_t rows, int64_t width,
              int threads)
{
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t row = 0; row < rows; row++)
        for (int64_t start = 0; start < width; start += LANES) {
            size_t count = (size_t)(width - start < LANES ? width - start : LANES);
            bf16 *of_row = values + row * width + start, numbers[LANES] = {0};
            lanes added = {0}, slope;
            memcpy(numbers, of_row, count * 2);
            memcpy(&added, bias + start, count * 4);
            lanes found = gelu(widen_lanes(numbers) + added, &slope);
            store_halves(numbers, slope);
            memcpy(of_row, numbers, count * 2);
            store_halves(numbers, found);
            memcpy(result + row * width + start, numbers, count * 2);
        }
    return DONE;
}

/* values *= by, and the sums of the products over the rows, [width]. */
int hft_multiply(bf16 *restrict values, const bf16 *restrict by, float *restrict sums, int64_t rows, int64_t width,
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
    return DONE;
}
