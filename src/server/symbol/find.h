/* Finding the files that tell about a module, and making sure that they do. */
#ifndef PD_SERVER_SYMBOL_FIND_H
#define PD_SERVER_SYMBOL_FIND_H

#include "agent/agent.h"
#include "server/symbol/elf.h"

/* Those found are open; the others have no sections. */
struct pd_files {
	struct pd_elf main;
	struct pd_elf debug; /* separate debug info */
	struct pd_elf alt;   /* shared by several debug files */
	struct pd_elf mini;  /* symbols packed into main */
	unsigned refused;    /* files that were there but damaged or of another build */
};

/* False = no file of the module's build was found (all closed then). */
bool pd_files_open(struct pd_files *f, const struct pd_module *m);
void pd_files_close(struct pd_files *f);
/* Was one of them written to meanwhile? */
bool pd_files_changed(const struct pd_files *f);
/* The file with the line tables, or NULL. */
const struct pd_elf *pd_files_dwarf(const struct pd_files *f);

#endif
