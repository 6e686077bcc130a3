/* Attention of many texts of few tokens, in training: all of one head of one text while it is in the cache, so that
 * no matrix of [tokens, tokens] is ever kept. The backward pass computes the softmax again from the sums that the
 * forward pass has kept (Dao et al., "FlashAttention", 2022). Scores and softmax are float32.
 *
 * Scores stand transposed, [key][query], 16 queries at once: sums over keys are sums of vectors.
 */

#include "numbers.h"
#include "tiles.h"

#define GROUP 8 /* keys whose numbers come from one block of counters: 16 queries by 8 keys */

typedef struct {
    int64_t texts, tokens, heads, width; /* width: of a head */
} shape;

/* Sizes of one head of one text, rounded up to whole tiles. */
typedef struct {
    int64_t real;   /* tokens that are no padding */
    int64_t tokens; /* those, up to whole depths */
    int64_t width;  /* of a head, up to whole depths */
} padded;

static padded padded_of(int64_t real, int64_t width) { return (padded){real, whole(real, DEPTH), whole(width, DEPTH)}; }

static inline lanes larger(lanes left, lanes right)
{
    words left_is = (words)(left > right);
    return (lanes)(((words)left & left_is) | ((words)right & ~left_is));
}

/* exp_negative of each. */
static inline lanes exp_lanes(lanes value)
{
    lanes result;
#pragma omp simd
    for (int i = 0; i < LANES; i++)
        ((float *)&result)[i] = exp_negative(((float *)&value)[i]);
    return result;
}

/* The numbers of a group of keys and 16 queries of a head of a text, [GROUP, 16]. */
static void draw_group(uint64_t seed, int64_t head, int64_t tokens, int64_t query, int64_t key, uint16_t *numbers)
{
    int64_t queries = (tokens + TILE - 1) / TILE, groups = (tokens + GROUP - 1) / GROUP;
    draw_block(seed, (uint64_t)((head * queries + query / TILE) * groups + key / GROUP), numbers);
}

/* For tests: the numbers of `heads` heads of texts, [heads, tokens, tokens]: of each query those of its keys. */
void hft_draw_attention(uint64_t seed, int64_t heads, int64_t tokens, uint16_t *result, int threads)
{
    (void)threads;
    uint16_t numbers[DRAWS];
    for (int64_t head = 0; head < heads; head++)
        for (int64_t query = 0; query < tokens; query++)
            for (int64_t key = 0; key < tokens; key++) {
                if (key % GROUP == 0)
                    draw_group(seed, head, tokens, query, key, numbers);
                result[(head * tokens + query) * tokens + key] = numbers[key % GROUP * LANES + query % TILE];
            }
}

/* All bits of the words whose number does not drop them. */
static inline words kept_by(const uint16_t *numbers, uint32_t dropped)
{
    halves drawn;
    memcpy(&drawn, numbers, 32);
    return (words)(__builtin_convertvector(drawn, words) >= dropped);
}

/* The rows of a head, with zeros around them; with a bias it is added, there as well. */
static void take_head(bf16 *from, int64_t stride, const float *bias, int64_t width, padded size, bf16 *to)
{
    for (int64_t row = 0; row < size.tokens; row++) {
        bf16 *of_row = from + row * stride, *to_row = to + row * size.width;
        if (row >= size.real) {
            memset(to_row, 0, (size_t)size.width * 2);
            continue;
        }
        if (bias)
#pragma omp simd
            for (int64_t i = 0; i < width; i++)
                of_row[i] = narrow(widen(of_row[i]) + bias[i]);
        memcpy(to_row, of_row, (size_t)width * 2);
        memset(to_row + width, 0, (size_t)(size.width - width) * 2);
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

/* A product by the transpose, for 16 queries: [keys, 16]. */
static void score(float *result, const bf16 *rows, padded size, const bf16 *queries, int registers)
{
    for (int64_t key = 0; key < size.real; key += TILE)
        tile_product(result + key * TILE, rows + key * size.width, size.width, DEPTH, queries, size.width / DEPTH,
                     registers);
}

/* The rows of two keys and 16 queries as a row of pairs of a right tile. */
static inline void store_pair(bf16 *pairs, int64_t key, words upper, words lower)
{
    words pair = upper >> 16 | (lower & 0xffff0000u);
    memcpy(pairs + key / 2 * DEPTH, &pair, 64);
}

/* What stands in tiles [16 of a head's width, 16 tokens] to the tokens' rows; sums (or NULL) over tokens are added to. */
static void give_columns(float *tile, bf16 *to, int64_t stride, int64_t tokens, int64_t width, float *sums)
{
    words rows[TILE];
    memcpy(rows, tile, sizeof rows);
    transpose_words(rows);
    memcpy(tile, rows, sizeof rows);
    for (int64_t token = 0; token < tokens; token++) {
        bf16 narrowed[TILE];
        store_halves(narrowed, round_lanes(load_lanes(tile + token * TILE)));
        memcpy(to + token * stride, narrowed, (size_t)width * 2);
        if (sums)
            for (int64_t i = 0; i < width; i++)
                sums[i] += tile[token * TILE + i];
    }
}

static void give_rows(const float *tile, bf16 *to, int64_t stride, int64_t tokens, int64_t width, float *sums)
{
    for (int64_t token = 0; token < tokens; token++) {
        bf16 narrowed[TILE];
        store_halves(narrowed, round_lanes(load_lanes(tile + token * TILE)));
        memcpy(to + token * stride, narrowed, (size_t)width * 2);
        for (int64_t i = 0; i < width; i++)
            sums[i] += tile[token * TILE + i];
    }
}

static inline int64_t at_most(int64_t count, int64_t most) { return count < most ? count : most; }

static void clear_padding(bf16 *of_text, padded size, shape all, int64_t kinds, int64_t head)
{
    for (int64_t token = size.real; token < all.tokens; token++)
        for (int64_t kind = 0; kind < kinds; kind++)
            memset(of_text + ((token * kinds + kind) * all.heads + head) * all.width, 0, (size_t)all.width * 2);
}

/* A part of this thread's scratch memory. */
static void *part(char **memory, int64_t size)
{
    void *here = *memory;
    *memory += whole(size, 64);
    return here;
}

/* Attention of texts of `tokens` tokens, of which lengths[text] are no padding.
 *
 * projected: [texts, tokens, 3, heads, width], queries (scaled), keys and values; bias [3, heads, width] is added to it.
 * result: [texts, tokens, heads, width], zeros for padding. logs: [texts, heads, tokens], of the sums of the softmax. */
void hft_attention(bf16 *projected, const float *bias, const int32_t *lengths, bf16 *result, float *logs, int64_t texts,
                   int64_t tokens, int64_t heads, int64_t width, uint64_t seed, uint32_t dropped, int threads)
{
    shape all = {texts, tokens, heads, width};
    padded most = padded_of(tokens, width);
    int64_t of_head = most.tokens * most.width * 2, stride = 3 * heads * width;
#pragma omp parallel num_threads(threads)
    {
        char *memory = scratch((size_t)(4 * of_head + most.tokens * TILE * 6 + TILE * TILE * 4 + 7 * 64));
        bf16 *keys = part(&memory, of_head), *rows = part(&memory, of_head);
        bf16 *queries = part(&memory, of_head), *values = part(&memory, of_head);
        float *scores = part(&memory, most.tokens * TILE * 4), *found = part(&memory, TILE * TILE * 4);
        bf16 *pairs = part(&memory, most.tokens * TILE * 2);
        uint16_t numbers[DRAWS];
        int registers = begin_tiles();
#pragma omp for schedule(static)
        for (int64_t at = 0; at < texts * heads; at++) {
            int64_t text = at / heads, head = at % heads;
            padded size = padded_of(lengths[text], width);
            bf16 *of_text = projected + text * tokens * stride, *to_text = result + text * tokens * heads * width;
            const int64_t places[3] = {head * width, (heads + head) * width, (2 * heads + head) * width};
            take_head(of_text + places[0], stride, bias + places[0], width, size, rows);
            across(rows, size, queries);
            take_head(of_text + places[1], stride, bias + places[1], width, size, keys);
            take_head(of_text + places[2], stride, bias + places[2], width, size, rows);
            along(rows, size, 1, values);
            for (int64_t query = 0; query < size.real; query += TILE) {
                score(scores, keys, size, queries + query * size.width, registers);
                lanes highest = load_lanes(scores), total = {0};
                for (int64_t key = 1; key < size.real; key++)
                    highest = larger(load_lanes(scores + key * TILE), highest);
                for (int64_t key = 0; key < size.real; key++) {
                    lanes power = exp_lanes(load_lanes(scores + key * TILE) - highest);
                    total += power;
                    store_lanes(scores + key * TILE, power);
                }
                lanes scale = 1.0f / total;
                for (int64_t key = 0; key < size.tokens; key += 2) {
                    words both[2] = {{0}, {0}};
                    if (dropped && key % GROUP == 0)
                        draw_group(seed, at, tokens, query, key, numbers);
                    for (int64_t one = 0; one < 2 && key + one < size.real; one++) {
                        both[one] = round_lanes(load_lanes(scores + (key + one) * TILE) * scale);
                        if (dropped)
                            both[one] &= kept_by(numbers + (key + one) % GROUP * LANES, dropped);
                    }
                    store_pair(pairs, key, both[0], both[1]);
                }
                int64_t count = at_most(size.real - query, TILE);
                float *log_sums = logs + at * tokens + query;
                for (int64_t i = 0; i < count; i++)
                    log_sums[i] = highest[i] + logf(total[i]);
                for (int64_t column = 0; column < width; column += TILE) {
                    tile_product(found, values + column * size.tokens, DEPTH, TILE_SIZE, pairs, size.tokens / DEPTH,
                                 registers);
                    give_columns(found, to_text + (query * heads + head) * width + column, heads * width, count,
                                 at_most(width - column, TILE), NULL);
                }
            }
            clear_padding(to_text, size, all, 1, head);
        }
        end_tiles(registers);
    }
}

/* The backward pass: from `gradient`, that of the result, to `to_projected`, zeros for padding, and the sums of that
 * over all tokens, [3, heads, width], which are added to. `projected` and `logs` are as hft_attention left them. */
void hft_attention_backward(bf16 *gradient, bf16 *projected, const int32_t *lengths, const float *logs,
                            bf16 *to_projected, float *sums, int64_t texts, int64_t tokens, int64_t heads,
                            int64_t width, uint64_t seed, uint32_t dropped, int threads)
{
    shape all = {texts, tokens, heads, width};
    padded most = padded_of(tokens, width);
    int64_t of_head = most.tokens * most.width * 2, stride = 3 * heads * width, squares = most.tokens * most.tokens * 2;
    float *partial = calloc((size_t)(threads * stride), 4);
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int thread = 0; thread < threads; thread++) {
        char *memory = scratch((size_t)(8 * of_head + 2 * squares + most.tokens * TILE * 10 + TILE * TILE * 4 + 14 * 64));
        bf16 *keys = part(&memory, of_head), *values = part(&memory, of_head), *rows = part(&memory, of_head);
        bf16 *queries = part(&memory, of_head), *query_pairs = part(&memory, of_head);
        bf16 *given = part(&memory, of_head), *given_pairs = part(&memory, of_head), *key_columns = part(&memory, of_head);
        bf16 *kept = part(&memory, squares), *to_scores = part(&memory, squares);
        float *scores = part(&memory, most.tokens * TILE * 4), *to_kept = part(&memory, most.tokens * TILE * 4);
        bf16 *pairs = part(&memory, most.tokens * TILE * 2);
        float *found = part(&memory, TILE * TILE * 4);
        uint16_t numbers[DRAWS];
        int registers = begin_tiles();
        int64_t end = texts * heads * (thread + 1) / threads;
        for (int64_t at = texts * heads * thread / threads; at < end; at++) {
            int64_t text = at / heads, head = at % heads;
            padded size = padded_of(lengths[text], width);
            int64_t steps = size.tokens / DEPTH;
            bf16 *of_text = projected + text * tokens * stride, *to_text = to_projected + text * tokens * stride;
            bf16 *given_text = gradient + text * tokens * heads * width;
            const int64_t places[3] = {head * width, (heads + head) * width, (2 * heads + head) * width};
            float *to_bias = partial + thread * stride;
            take_head(of_text + places[0], stride, NULL, width, size, rows);
            across(rows, size, queries);
            along(rows, size, 0, query_pairs);
            take_head(given_text + head * width, heads * width, NULL, width, size, rows);
            across(rows, size, given);
            along(rows, size, 0, given_pairs);
            take_head(of_text + places[1], stride, NULL, width, size, keys);
            along(keys, size, 1, key_columns);
            take_head(of_text + places[2], stride, NULL, width, size, values);
            for (int64_t query = 0; query < size.tokens; query += TILE) {
                int64_t count = at_most(size.real - query, TILE);
                if (count <= 0) { /* the second half of the last depth */
                    for (int64_t key = 0; key < size.tokens; key++) {
                        memset(kept + key * size.tokens + query, 0, TILE * 2);
                        memset(to_scores + key * size.tokens + query, 0, TILE * 2);
                    }
                    continue;
                }
                score(scores, keys, size, queries + query * size.width, registers);
                score(to_kept, values, size, given + query * size.width, registers);
                float log_sums[TILE] = {0};
                memcpy(log_sums, logs + at * tokens + query, (size_t)count * 4);
                lanes log_sum = load_lanes(log_sums), slope = {0};
                for (int64_t key = 0; key < size.real; key++) {
                    lanes share = exp_lanes(load_lanes(scores + key * TILE) - log_sum);
                    words rounded = round_lanes(share);
                    lanes of_kept = load_lanes(to_kept + key * TILE);
                    if (dropped) {
                        if (key % GROUP == 0)
                            draw_group(seed, at, tokens, query, key, numbers);
                        words stays = kept_by(numbers + key % GROUP * LANES, dropped);
                        rounded &= stays;
                        of_kept = (lanes)((words)of_kept & stays);
                    }
                    of_kept *= share;
                    slope += of_kept;
                    store_lanes(scores + key * TILE, share);
                    store_lanes(to_kept + key * TILE, of_kept);
                    store_halves(kept + key * size.tokens + query, rounded);
                }
                for (int64_t key = 0; key < size.tokens; key += 2) {
                    words both[2] = {{0}, {0}};
                    for (int64_t one = 0; one < 2; one++) {
                        if (key + one < size.real) {
                            lanes share = load_lanes(scores + (key + one) * TILE);
                            both[one] = round_lanes(load_lanes(to_kept + (key + one) * TILE) - share * slope);
                        } else
                            memset(kept + (key + one) * size.tokens + query, 0, TILE * 2);
                        store_halves(to_scores + (key + one) * size.tokens + query, both[one]);
                    }
                    store_pair(pairs, key, both[0], both[1]);
                }
                for (int64_t column = 0; column < width; column += TILE) {
                    tile_product(found, key_columns + column * size.tokens, DEPTH, TILE_SIZE, pairs, steps, registers);
                    give_columns(found, to_text + query * stride + places[0] + column, stride, count,
                                 at_most(width - column, TILE), to_bias + places[0] + column);
                }
            }
            for (int64_t key = 0; key < size.real; key += TILE)
                for (int64_t column = 0; column < width; column += TILE) {
                    int64_t count = at_most(size.real - key, TILE), columns = at_most(width - column, TILE);
                    bf16 *to_keys = to_text + key * stride + places[1] + column;
                    tile_product(found, to_scores + key * size.tokens, size.tokens, DEPTH,
                                 query_pairs + column * size.tokens, steps, registers);
                    give_rows(found, to_keys, stride, count, columns, to_bias + places[1] + column);
                    tile_product(found, kept + key * size.tokens, size.tokens, DEPTH,
                                 given_pairs + column * size.tokens, steps, registers);
                    give_rows(found, to_keys + places[2] - places[1], stride, count, columns, to_bias + places[2] + column);
                }
            clear_padding(to_text, size, all, 3, head);
        }
        end_tiles(registers);
    }
    for (int thread = 0; thread < threads; thread++)
        for (int64_t i = 0; i < stride; i++)
            sums[i] += partial[thread * stride + i];
    free(partial);
}
