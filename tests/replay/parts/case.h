/* One recorded session of the JSON vector format, in memory (tests/vectors/README.md). */
#ifndef REPLAY_CASE_H
#define REPLAY_CASE_H

#include <jansson.h>

#include "postern/crypto.h"

typedef enum { BINDING_MCTP, BINDING_DOE, BINDING_TCP, BINDING_NONE } binding_id;

struct message {
    int n;
    bool request;
    bool secured; /* travelled in a record */
    const char *name;
    struct pst_bytes wire, spdm, app;
};

struct secret {
    int session;
    const char *name;
    struct pst_bytes value;
    bool used;
};

struct signature {
    int message;
    bool responder;
    int slot;
    const char *purpose;
    struct pst_bytes hash, value;
    bool used;
};

/* Bytes that grow. Freed by blob_free; an empty one is all zero. */
struct blob {
    uint8_t *at;
    size_t len, cap;
};
void blob_add(struct blob *b, const void *at, size_t len);
void blob_put(struct blob *b, struct pst_bytes bytes);
void blob_clear(struct blob *b);
void blob_free(struct blob *b);

struct recording {
    json_t *json;
    void **owned; /* what case_free frees */
    size_t owned_count;
    const char *name, *scope; /* `scope`: why it is out of scope, NULL if it is in */
    binding_id binding;
    uint8_t minor;
    pst_hash_id hash, measurement_hash;
    pst_sig_id sig, peer_sig;
    pst_dh_id dh;
    pst_aead_id aead;
    bool encrypt, clear_handshake, multi_key_rsp, multi_key_req;
    uint32_t requester_flags, responder_flags;
    struct message *messages;
    size_t message_count;
    struct secret *secrets;
    size_t secret_count;
    struct signature *signatures;
    size_t signature_count;
    struct pst_bytes responder_chain[8]; /* whole SPDM structures */
    struct pst_bytes requester_chain;
    struct pst_bytes responder_public_key; /* SubjectPublicKeyInfo, for slot 0xFF */
    struct pst_bytes all_record;
    char why[256];   /* the first failure */
    char partly[96]; /* if the replay did not fail: the engines that did not take part, and why */
};

/* Returns false and sets `why` if the file is not a recording. A recording that is out of scope
 * loads.
 */
bool case_load(struct recording *c, const char *path);
void case_free(struct recording *c);
/* Notes the first failure; returns false. */
bool case_fail(struct recording *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The `nth` secret of that name in a session, or NULL. */
struct secret *case_secret(struct recording *c, int session, const char *name, int nth);

#endif
