/*
 * kept_rows.c
 *		All rows of an entity, kept until a query ends, with an index.
 *
 * A hash table of the rows would take as much memory as the user pool is large.  So the index
 * has a hash and a place for each row, sorted by the hash.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "planner/kept_rows.h"
#include "planner/row_store.h"

/* An entry of the index. */
typedef struct RowPlace
{
	uint32 hash;  /* of the attribute */
	off_t  place; /* of the row */
} RowPlace;

struct KeptRows
{
	RowStore              *store;
	const SearchAttribute *attribute; /* indexed */
	RowPlace              *index;     /* sorted; rows without the attribute are left out */
	size_t                 nindexed;
	TupleTableSlot        *slot;
	MemoryContext          row; /* reset after each row */
};

/* Return the hash of a value. */
static uint32
hash_value(const char *value)
{
	return hash_bytes((const unsigned char *) value, (int) strlen(value));
}

/* Compare the hashes of two rows, for qsort. */
static int
compare_hashes(const void *a, const void *b)
{
	const RowPlace *left = a;
	const RowPlace *right = b;

	CHECK_FOR_INTERRUPTS();
	return left->hash < right->hash ? -1 : left->hash > right->hash;
}

/* Compare the places of two rows, for qsort. */
static int
compare_places(const void *a, const void *b)
{
	const RowPlace *left = a;
	const RowPlace *right = b;

	CHECK_FOR_INTERRUPTS();
	return left->place < right->place ? -1 : left->place > right->place;
}

/* Append the row in the slot, and enter it into the index. */
static void
append_row(KeptRows *rows)
{
	off_t         place = row_store_append(rows->store, rows->slot);
	MemoryContext caller = MemoryContextSwitchTo(rows->row);
	const char   *value;

	slot_getallattrs(rows->slot);
	value = search_row_value(rows->attribute, rows->slot->tts_values, rows->slot->tts_isnull);
	if (value != NULL)
		rows->index[rows->nindexed++] = (RowPlace){hash_value(value), place};
	MemoryContextSwitchTo(caller);
	MemoryContextReset(rows->row);
}

KeptRows *
kept_rows_create(Tuplestorestate *source, TupleDesc columns, const SearchAttribute *attribute)
{
	KeptRows *rows = palloc0(sizeof(KeptRows));
	int64     n = tuplestore_tuple_count(source);

	rows->store = row_store_create();
	rows->attribute = attribute;
	rows->index = palloc_extended(Max(n, 1) * sizeof(RowPlace), MCXT_ALLOC_HUGE);
	rows->slot = MakeSingleTupleTableSlot(CreateTupleDescCopy(columns), &TTSOpsMinimalTuple);
	rows->row =
		AllocSetContextCreate(CurrentMemoryContext, "cognito kept row", ALLOCSET_SMALL_SIZES);

	tuplestore_rescan(source);
	while (tuplestore_gettupleslot(source, true, false, rows->slot))
	{
		CHECK_FOR_INTERRUPTS();
		append_row(rows);
	}
	qsort(rows->index, rows->nindexed, sizeof(RowPlace), compare_hashes);
	return rows;
}

/* Return true if the row in the slot matches a search. */
static bool
match_row(KeptRows *rows, const Search *search)
{
	MemoryContext caller = MemoryContextSwitchTo(rows->row);
	int           found;

	slot_getallattrs(rows->slot);
	found = search_find_row(search, rows->slot->tts_values, rows->slot->tts_isnull);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(rows->row);
	return found >= 0;
}

/* Return the first entry of the index that has at least this hash. */
static size_t
find_place(const KeptRows *rows, uint32 hash)
{
	size_t low = 0;
	size_t high = rows->nindexed;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;

		if (rows->index[middle].hash < hash)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Return the places of rows whose hash is that of a value of a search, in their order. */
static RowPlace *
find_places(const KeptRows *rows, const Search *search, size_t *n)
{
	size_t    allocated = 64;
	RowPlace *places = palloc(allocated * sizeof(RowPlace));

	*n = 0;
	for (int value = 0; value < search->nvalues; value++)
	{
		uint32 hash = hash_value(search->values[value]);

		CHECK_FOR_INTERRUPTS();
		for (size_t i = find_place(rows, hash); i < rows->nindexed && rows->index[i].hash == hash;
			 i++)
		{
			if (*n == allocated)
				places = repalloc_huge(places, (allocated *= 2) * sizeof(RowPlace));
			places[(*n)++] = rows->index[i];
		}
	}
	qsort(places, *n, sizeof(RowPlace), compare_places);
	return places;
}

/* Append the rows that are equal to a value of a search, which the index finds. */
static void
search_index(KeptRows *rows, const Search *search, Tuplestorestate *result)
{
	int64     rows_left = search->max_rows;
	size_t    n;
	RowPlace *places = find_places(rows, search, &n);

	for (size_t i = 0; i < n && rows_left > 0; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (i > 0 && compare_places(&places[i - 1], &places[i]) == 0)
			continue; /* two values have the same hash */
		row_store_seek(rows->store, places[i].place);
		if (row_store_read(rows->store, rows->slot) && match_row(rows, search))
		{
			tuplestore_puttupleslot(result, rows->slot);
			rows_left--;
		}
	}
	pfree(places);
}

/* Read all rows, and append those that match a search. */
static void
search_all(KeptRows *rows, const Search *search, Tuplestorestate *result)
{
	int64 rows_left = search->max_rows;

	row_store_seek(rows->store, 0);
	while (rows_left > 0 && row_store_read(rows->store, rows->slot))
	{
		CHECK_FOR_INTERRUPTS();
		if (match_row(rows, search))
		{
			tuplestore_puttupleslot(result, rows->slot);
			rows_left--;
		}
	}
}

void
kept_rows_search(KeptRows *rows, const Search *search, Tuplestorestate *result)
{
	if (search->attribute == rows->attribute && strcmp(search->op, SEARCH_EQUALS) == 0)
		search_index(rows, search, result);
	else
		search_all(rows, search, result);
	ExecClearTuple(rows->slot);
}

void
kept_rows_free(KeptRows *rows)
{
	ExecDropSingleTupleTableSlot(rows->slot);
	MemoryContextDelete(rows->row);
	row_store_free(rows->store);
	pfree(rows->index);
	pfree(rows);
}
