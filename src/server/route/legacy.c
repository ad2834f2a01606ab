/* The forms of gperftools, which its tools ask for below /pprof/. Knows what goes with an encoder's output. */
#include "server/route/inside.h"
#include "server/route/process.h"

const struct pd_legacy pd_legacy_cpu = { "application/octet-stream", pd_encode_legacy_cpu, false };
const struct pd_legacy pd_legacy_heap = { PD_TEXT, pd_encode_legacy_heap, true };
const struct pd_legacy pd_legacy_growth = { PD_TEXT, pd_encode_legacy_growth, false };
const struct pd_legacy pd_legacy_contention = { PD_TEXT, pd_encode_legacy_contention, false };

int pd_legacy_encode(const struct pd_job *job, struct pd_buf *out)
{
	int error = job->route->legacy->encode(&job->profile, out);
	return error ? error : pd_file_read("/proc/self/maps", out);
}
