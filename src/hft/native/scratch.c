/* Memory that the kernels use again from call to call, so that its pages are there and in the cache. */

#include <pthread.h>
#include <stdlib.h>

#include "scratch.h"

#define HEADER 64                  /* bytes before the memory, which hold its size */
#define MUCH ((size_t)64 << 20) /* is given back when four times less is asked for */

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_key(void) { pthread_key_create(&key, free); }

void *scratch(size_t size)
{
    pthread_once(&once, make_key);
    char *memory = pthread_getspecific(key);
    size_t held = memory ? *(size_t *)memory : 0;
    if (held < size || (held > MUCH && held > 4 * size)) {
        free(memory);
        memory = aligned_alloc(HEADER, HEADER + (size + HEADER - 1) / HEADER * HEADER);
        pthread_setspecific(key, memory);
        if (!memory)
            return NULL;
        *(size_t *)memory = size;
    }
    return memory + HEADER;
}
