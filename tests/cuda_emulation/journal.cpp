/* journal.cpp - see journal.h. */
#include "journal.h"

#include <vector>

static std::vector<emulated_entry> journal;
static bool kept;

void emulated_journal_begin(void)
{
    journal.clear();
    kept = true;
}

size_t emulated_journal_end(const emulated_entry **list)
{
    kept = false;
    *list = journal.data();
    return journal.size();
}

void emulated_note(emulated_deed deed, const char *name, const void *stream, const void *event)
{
    if (kept)
        journal.push_back({deed, name, stream, event});
}
