/* Attention of many texts of few tokens, in training: all of one head of one text while it is in the cache, so that
 * no matrix of [tokens, tokens] is kept from the forward pass to the backward pass. The backward pass computes the softmax again from the sums that the
 * forward pass has kept (Dao et al., "FlashAttention", 2022). Scores and softmax are float32.
 *
 * Scores stand transposed, [key][query], 16 queries at once: sums over keys are sums of vectors.
 */

#include <omp.h>

#include "tiles.h"

#define GROUP 8 /* keys whose numbers come from one block of counters: 16 queries by 8 keys */

/* Sizes of one head of one text, rounded up to whole tiles. */
typedef struct {
    int64_t real;   /* tokens that are no padding */
    int64_t tokens; /* those, up to whole depths */
    int64_t width;  /* of a head, up to whole depths */
} padded;

static padded padded_of(int64_t real, int64_t width) { return (padded){real, whole(real, DEPTH), whole(width, DEPTH)}; }

/* What dropout draws for: 16 queries, from `query` on, of one head of one text. */
typedef struct {
    uint64_t seed;
    uint32_t dropped;
    int64_t head, query;
} draw;

/* The numbers of a group of keys and 16 queries, [GROUP, 16]: another place for each, in texts of up to 32,768 tokens. */
static inline void draw_group(draw of, int64_t key, uint16_t *numbers)
{
    draw_block(of.seed, (uint64_t)of.head << 24 | (uint64_t)(of.query / TILE) << 12 | (uint64_t)(key / GROUP), numbers);
}

/* For tests: the numbers of `heads` heads of texts, [heads, tokens, tokens]: of each query those of its keys. */
int hft_draw_attention(uint64_t seed, int64_t heads, int64_t tokens, uint16_t *result, int threads)
{
    (void)threads;
    uint16_t numbers[DRAWS];
    for (int64_t head = 0; head < heads; head++)
        for (int64_t query = 0; query < tokens; query++)
            for (int64_t key = 0; key < tokens; key++) {
                if (key % GROUP == 0)
                    draw_group((draw){seed, 0, head, query}, key, numbers);
                result[(head * tokens + query) * tokens + key] = numbers[key % GROUP * LANES + query % TILE];
            }
    return DONE;
}

/* The values whose number does not drop them; 0 for the others. */
static inline lanes kept_of(lanes values, const uint16_t *numbers, uint32_t dropped)
{
    halves drawn;
    memcpy(&drawn, numbers, 32);
    return (lanes)((words)values & (words)(__builtin_convertvector(drawn, words) >= dropped));
}

/* Copies numbers; vectors where there are whole ones. */
static inline void copy_row(bf16 *to, const bf16 *from, int64_t width)
{
    int64_t i = 0;
    for (; i + TILE <= width; i += TILE)
        memcpy(to + i, from + i, TILE * 2);
    for (; i < width; i++)
        to[i] = from[i];
}

/* The rows of a head, with zeros around them; with a bias it is added, there as well. */
static void take_head(bf16 *from, int64_t stride, const float *bias, int64_t width, padded size, bf16 *to)
{
    memset(to + size.real * size.width, 0, (size_t)((size.tokens - size.real) * size.width) * 2);
    for (int64_t row = 0; row < size.real; row++) {
        bf16 *of_row = from + row * stride, *to_row = to + row * size.width;
        if (bias)
#pragma omp simd
            for (int64_t i = 0; i < width; i++)
                of_row[i] = narrow(widen(of_row[i]) + bias[i]);
        __builtin_prefetch(of_row + width); /* the next head's, which stands beside it */
        copy_row(to_row, of_row, width);
        for (int64_t i = width; i < size.width; i++)
            to_row[i] = 0;
    }
}

/* Rows [tokens, width] to right tiles of their transpose: [token tile][depth of width]. */
static void across(const bf16 *rows, padded size, bf16 *to)
{
    for (int64_t row = 0; row < size.tokens; row += TILE)
        for (int64_t column = 0; column < size.width; column += DEPTH, to += TILE_SIZE)
            pack_across(rows + row * size.width + column, size.width, to);
}

/* Rows [tokens, width] to tiles [width tile][depth of tokens]: right ones, or left ones of their transpose. */
static void along(const bf16 *rows, padded size, int transposed, bf16 *to)
{
    int64_t steps = size.tokens / DEPTH;
    for (int64_t column = 0; column < size.width; column += DEPTH)
        for (int64_t step = 0; step < steps; step++) {
            bf16 *first = to + (column / TILE * steps + step) * TILE_SIZE;
            const bf16 *from = rows + step * DEPTH * size.width + column;
            pack_rows(from, size.width, DEPTH, transposed, first, first + steps * TILE_SIZE);
        }
}

/* A product by the transpose, for 32 queries: of each 16 of them [keys, 16], `beside` numbers apart. */
static void score(float *result, int64_t beside, const bf16 *rows, padded size, const bf16 *queries, int registers)
{
    for (int64_t key = 0; key < size.real; key += SQUARE)
        square_product((square){result + key * TILE, TILE * TILE, beside},
                       (left_tiles){rows + key * size.width, size.width, DEPTH, TILE * size.width},
                       (right_tiles){queries, TILE * size.width}, size.width / DEPTH, 0, registers);
}

/* A tile [16 tokens, 16 of a head's width] to the tokens' rows; sums (or NULL) over tokens are added to. */
static void give_tile(const float *tile, bf16 *to, int64_t stride, int64_t tokens, int64_t width, float *sums)
{
    lanes total = {0};
    for (int64_t token = 0; token < tokens; token++) {
        lanes of_token = load_lanes(tile + token * TILE);
        bf16 narrowed[TILE];
        store_halves(narrowed, of_token);
        copy_row(to + token * stride, narrowed, width);
        total += of_token;
    }
    if (sums)
        for (int64_t i = 0; i < width; i++)
            sums[i] += total[i];
}

static void transpose_tile(float *tile)
{
    words rows[TILE];
    memcpy(rows, tile, sizeof rows);
    transpose_words(rows);
    memcpy(tile, rows, sizeof rows);
}

static inline int64_t at_most(int64_t count, int64_t most) { return count < most ? count : most; }

/* A square [32 tokens, 32 of a head's width], or (across) its transpose, to the rows of the real tokens. */
static void give_square(float *found, int across, bf16 *to, int64_t stride, int64_t tokens, int64_t width, float *sums)
{
    for (int tile = 0; tile < 4; tile++) {
        int64_t token = (across ? tile % 2 : tile / 2) * TILE, column = (across ? tile / 2 : tile % 2) * TILE;
        if (token >= tokens || column >= width)
            continue;
        if (across)
            transpose_tile(found + tile * TILE * TILE);
        give_tile(found + tile * TILE * TILE, to + token * stride + column, stride, at_most(tokens - token, TILE),
                  at_most(width - column, TILE), sums ? sums + column : NULL);
    }
}

/* Heads that a thread takes on at once: those of a text, which stand side by side, unless there are few texts. */
static int heads_at_once(int64_t texts, int64_t heads, int threads) { return texts < 4 * threads ? 1 : (int)heads; }

/* The sizes of the longest text. */
static padded longest(const int64_t *starts, int64_t texts, int64_t width)
{
    int64_t most = 0;
    for (int64_t text = 0; text < texts; text++)
        most = starts[text + 1] - starts[text] > most ? starts[text + 1] - starts[text] : most;
    return padded_of(most, width);
}

/* A part of this thread's scratch memory. */
static void *part(char **memory, int64_t size)
{
    void *here = *memory;
    *memory += whole(size, 64);
    return here;
}

/* Softmax over the keys of scores [keys, 16], and dropout, to right tiles; the logarithms of its sums. */
static inline lanes soften(float *scores, padded size, draw of, bf16 *pairs)
{
    uint16_t numbers[DRAWS];
    lanes highest = load_lanes(scores), total = {0};
    for (int64_t key = 1; key < size.real; key++)
        highest = larger(load_lanes(scores + key * TILE), highest);
    for (int64_t key = 0; key < size.real; key++) {
        lanes power = exp_negative(load_lanes(scores + key * TILE) - highest);
        total += power;
        store_lanes(scores + key * TILE, power);
    }
    lanes scale = 1.0f / total, none = {0};
    memset(scores + size.real * TILE, 0, (size_t)((size.tokens - size.real) * TILE) * 4);
    for (int64_t key = 0; key < size.tokens; key += 2) {
        lanes upper = load_lanes(scores + key * TILE) * scale, lower = load_lanes(scores + (key + 1) * TILE) * scale;
        if (key >= size.real)
            upper = none; /* where the scale is no number, padding still is one */
        if (key + 1 >= size.real)
            lower = none;
        if (of.dropped) {
            const uint16_t *drawn = numbers + key % GROUP * LANES;
            if (key % GROUP == 0 && key < size.real)
                draw_group(of, key, numbers);
            upper = kept_of(upper, drawn, of.dropped);
            lower = kept_of(lower, drawn + LANES, of.dropped);
        }
        store_pairs(pairs + key * TILE, upper, lower);
    }
    lanes logs;
    for (int i = 0; i < LANES; i++)
        logs[i] = highest[i] + logf(total[i]);
    return logs;
}

/* The way back: from scores [keys, 16], the logarithms, and the gradient of what dropout kept, [keys, 16], what it kept
 * and the gradient of the scores, both to columns of [keys, keys], the latter to right tiles too. */
static inline void soften_backward(float *scores, float *to_kept, lanes logs, padded size, draw of, bf16 *kept,
                                   bf16 *to_scores, bf16 *pairs)
{
    uint16_t numbers[DRAWS];
    lanes slope = {0};
    for (int64_t key = 0; key < size.real; key++) {
        lanes share = exp_negative(load_lanes(scores + key * TILE) - logs), left = share;
        if (of.dropped) {
            if (key % GROUP == 0)
                draw_group(of, key, numbers);
            left = kept_of(share, numbers + key % GROUP * LANES, of.dropped);
        }
        lanes of_kept = left * load_lanes(to_kept + key * TILE);
        slope += of_kept;
        store_lanes(scores + key * TILE, share);
        store_lanes(to_kept + key * TILE, of_kept);
        store_halves(kept + key * size.tokens, left);
    }
    for (int64_t key = size.real; key < size.tokens; key++) {
        memset(scores + key * TILE, 0, TILE * 4);
        memset(to_kept + key * TILE, 0, TILE * 4);
        memset(kept + key * size.tokens, 0, TILE * 2);
    }
    for (int64_t key = 0; key < size.tokens; key += 2) {
        float *of_key = scores + key * TILE, *of_kept = to_kept + key * TILE;
        lanes upper = load_lanes(of_kept) - load_lanes(of_key) * slope;
        lanes lower = load_lanes(of_kept + TILE) - load_lanes(of_key + TILE) * slope;
        store_halves(to_scores + key * size.tokens, upper);
        store_halves(to_scores + (key + 1) * size.tokens, lower);
        store_pairs(pairs + key * TILE, upper, lower);
    }
}

/* Attention of texts whose tokens follow each other: those of a text are starts[text] to starts[text + 1].
 *
 * projected: [tokens, 3, heads, width], queries (scaled), keys and values; bias [3, heads, width] is added to it.
 * result: [tokens, heads, width]. logs: of each text [heads, tokens], of the sums of the softmax. */
int hft_attention(bf16 *projected, const float *bias, const int64_t *starts, bf16 *result, float *logs, int64_t texts,
                  int64_t heads, int64_t width, uint64_t seed, uint32_t dropped, int threads)
{
    padded most = longest(starts, texts, width);
    int64_t of_head = most.tokens * most.width * 2, of_half = most.tokens * TILE, stride = 3 * heads * width;
    int64_t of_thread = whole(4 * of_head + of_half * 12 + SQUARE * SQUARE * 4 + 7 * 64, 64);
    char *of_all_threads = scratch((size_t)(threads * of_thread));
    if (!of_all_threads)
        return NO_MEMORY;
#pragma omp parallel num_threads(threads)
    {
        char *memory = of_all_threads + omp_get_thread_num() * of_thread;
        bf16 *keys = part(&memory, of_head), *rows = part(&memory, of_head);
        bf16 *queries = part(&memory, of_head), *values = part(&memory, of_head);
        float *scores = part(&memory, 2 * of_half * 4), *found = part(&memory, SQUARE * SQUARE * 4);
        bf16 *pairs = part(&memory, 2 * of_half * 2);
        int registers = begin_tiles();
#pragma omp for schedule(dynamic, heads_at_once(texts, heads, threads))
        for (int64_t at = 0; at < texts * heads; at++) {
            int64_t text = at / heads, head = at % heads;
            padded size = padded_of(starts[text + 1] - starts[text], width);
            int64_t steps = size.tokens / DEPTH, of_line = size.tokens * TILE;
            bf16 *of_text = projected + starts[text] * stride, *to_text = result + starts[text] * heads * width;
            float *to_logs = logs + starts[text] * heads + head * size.real;
            const int64_t places[3] = {head * width, (heads + head) * width, (2 * heads + head) * width};
            take_head(of_text + places[0], stride, bias + places[0], width, size, rows);
            across(rows, size, queries);
            take_head(of_text + places[1], stride, bias + places[1], width, size, keys);
            take_head(of_text + places[2], stride, bias + places[2], width, size, rows);
            along(rows, size, 1, values);
            for (int64_t query = 0; query < size.real; query += SQUARE) {
                score(scores, of_half, keys, size, queries + query * size.width, registers);
                for (int64_t half = 0; half < 2 && query + half * TILE < size.real; half++) {
                    int64_t first = query + half * TILE;
                    lanes of_queries = soften(scores + half * of_half, size, (draw){seed, dropped, at, first},
                                              pairs + half * of_line);
                    memcpy(to_logs + first, &of_queries, (size_t)at_most(size.real - first, TILE) * 4);
                }
                for (int64_t column = 0; column < width; column += SQUARE) {
                    square_product((square){found, 2 * TILE * TILE, TILE * TILE},
                                   (left_tiles){values + column * size.tokens, DEPTH, TILE_SIZE, of_line},
                                   (right_tiles){pairs, of_line}, steps, 0, registers);
                    give_square(found, 1, to_text + (query * heads + head) * width + column, heads * width,
                                size.real - query, width - column, NULL);
                }
            }
        }
        end_tiles(registers);
    }
    return DONE;
}

/* The backward pass: from `gradient`, that of the result, to `to_projected` and its sums over all tokens, [3, heads,
 * width]. `projected` and `logs` are as hft_attention left them. */
int hft_attention_backward(bf16 *gradient, bf16 *projected, const int64_t *starts, const float *logs,
                            bf16 *to_projected, float *sums, int64_t texts, int64_t heads, int64_t width, uint64_t seed,
                            uint32_t dropped, int threads)
{
    padded most = longest(starts, texts, width);
    int64_t of_head = most.tokens * most.width * 2, of_half = most.tokens * TILE, stride = 3 * heads * width;
    int64_t of_all = most.tokens * most.tokens * 2;
    int64_t of_thread = whole(8 * of_head + 2 * of_all + of_half * 20 + SQUARE * SQUARE * 4 + 14 * 64, 64);
    char *of_all_threads = scratch((size_t)(threads * of_thread + texts * stride * 4));
    if (!of_all_threads)
        return NO_MEMORY;
    float *of_texts = (float *)(of_all_threads + threads * of_thread); /* the sums of each text */
    memset(of_texts, 0, (size_t)(texts * stride) * 4);
#pragma omp parallel num_threads(threads)
    {
        char *memory = of_all_threads + omp_get_thread_num() * of_thread;
        bf16 *keys = part(&memory, of_head), *values = part(&memory, of_head), *rows = part(&memory, of_head);
        bf16 *queries = part(&memory, of_head), *query_pairs = part(&memory, of_head);
        bf16 *given = part(&memory, of_head), *given_pairs = part(&memory, of_head), *key_columns = part(&memory, of_head);
        bf16 *kept = part(&memory, of_all), *to_scores = part(&memory, of_all);
        float *scores = part(&memory, 2 * of_half * 4), *to_kept = part(&memory, 2 * of_half * 4);
        bf16 *pairs = part(&memory, 2 * of_half * 2);
        float *found = part(&memory, SQUARE * SQUARE * 4);
        square to_found = {found, 2 * TILE * TILE, TILE * TILE};
        int registers = begin_tiles();
#pragma omp for schedule(dynamic, heads_at_once(texts, heads, threads))
        for (int64_t at = 0; at < texts * heads; at++) {
            int64_t text = at / heads, head = at % heads;
            padded size = padded_of(starts[text + 1] - starts[text], width);
            int64_t steps = size.tokens / DEPTH, of_line = size.tokens * TILE;
            bf16 *of_text = projected + starts[text] * stride, *to_text = to_projected + starts[text] * stride;
            const float *of_logs = logs + starts[text] * heads + head * size.real;
            const int64_t places[3] = {head * width, (heads + head) * width, (2 * heads + head) * width};
            float *to_bias = of_texts + text * stride;
            take_head(of_text + places[0], stride, NULL, width, size, rows);
            across(rows, size, queries);
            along(rows, size, 0, query_pairs);
            take_head(gradient + (starts[text] * heads + head) * width, heads * width, NULL, width, size, rows);
            across(rows, size, given);
            along(rows, size, 0, given_pairs);
            take_head(of_text + places[1], stride, NULL, width, size, keys);
            along(keys, size, 1, key_columns);
            take_head(of_text + places[2], stride, NULL, width, size, values);
            for (int64_t query = 0; query < size.real; query += SQUARE) {
                score(scores, of_half, keys, size, queries + query * size.width, registers);
                score(to_kept, of_half, values, size, given + query * size.width, registers);
                for (int64_t half = 0; half < 2; half++) {
                    int64_t first = query + half * TILE;
                    bf16 *of_kept = kept + first, *of_scores = to_scores + first;
                    if (first >= size.real) {
                        for (int64_t key = 0; key < size.tokens; key++) {
                            memset(of_kept + key * size.tokens, 0, TILE * 2);
                            memset(of_scores + key * size.tokens, 0, TILE * 2);
                        }
                        continue;
                    }
                    lanes of_queries = {0};
                    memcpy(&of_queries, of_logs + first, (size_t)at_most(size.real - first, TILE) * 4);
                    soften_backward(scores + half * of_half, to_kept + half * of_half, of_queries, size,
                                    (draw){seed, dropped, at, first}, of_kept, of_scores, pairs + half * of_line);
                }
                for (int64_t column = 0; column < width; column += SQUARE) {
                    square_product(to_found, (left_tiles){key_columns + column * size.tokens, DEPTH, TILE_SIZE, of_line},
                                   (right_tiles){pairs, of_line}, steps, 0, registers);
                    give_square(found, 1, to_text + query * stride + places[0] + column, stride, size.real - query,
                                width - column, to_bias + places[0] + column);
                }
            }
            for (int64_t key = 0; key < size.real; key += SQUARE)
                for (int64_t column = 0; column < width; column += SQUARE) {
                    bf16 *to_key = to_text + key * stride + column;
                    int64_t at_key = key * size.tokens, of_columns = column * size.tokens;
                    square_product(to_found, (left_tiles){to_scores + at_key, size.tokens, DEPTH, of_line},
                                   (right_tiles){query_pairs + of_columns, of_line}, steps, 0, registers);
                    give_square(found, 0, to_key + places[1], stride, size.real - key, width - column,
                                to_bias + places[1] + column);
                    square_product(to_found, (left_tiles){kept + at_key, size.tokens, DEPTH, of_line},
                                   (right_tiles){given_pairs + of_columns, of_line}, steps, 0, registers);
                    give_square(found, 0, to_key + places[2], stride, size.real - key, width - column,
                                to_bias + places[2] + column);
                }
        }
        end_tiles(registers);
    }
    memset(sums, 0, (size_t)stride * 4);
    for (int64_t text = 0; text < texts; text++)
        for (int64_t i = 0; i < stride; i++)
            sums[i] += of_texts[text * stride + i];
    return DONE;
}
