/* Calls into libraries as the distribution ships them: stripped, without frame pointers. */
#include <openssl/evp.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

static unsigned char data[1 << 16], packed[1 << 17];

__attribute__((noinline)) static void sign_all(void)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	for (int i = 0; i < 20; i++)
		EVP_Digest(data, sizeof data, digest, NULL, EVP_sha256(), NULL);
}

__attribute__((noinline)) static void pack_all(void)
{
	uLongf n = sizeof packed;
	compress2(packed, &n, data, sizeof data, 6);
}

__attribute__((noinline)) static void query_all(sqlite3 *db)
{
	if (sqlite3_exec(db, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 4000)"
	             " SELECT sum(x * x), count(*) FROM c WHERE x LIKE '%7%'", NULL, NULL, NULL) != SQLITE_OK)
		abort();
}

int main(void)
{
	sqlite3 *db;
	if (sqlite3_open(":memory:", &db) != SQLITE_OK)
		return 1;
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (unsigned char)(rand() % 23);
	for (;;) {
		sign_all();
		pack_all();
		query_all(db);
	}
}
