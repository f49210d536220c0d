/* DMTF's object identifiers as text, for making certificates (spec: DSP0274, certificates, object
 * identifiers). Code that reads certificates compares DER bytes: postern/parts/certificate.h. */
#ifndef POSTERN_OPENSSL_OIDS_H
#define POSTERN_OPENSSL_OIDS_H

#define PST_OID_DEVICE_INFO "1.3.6.1.4.1.412.274.1"
#define PST_OID_HARDWARE_IDENTITY "1.3.6.1.4.1.412.274.2"
#define PST_OID_RESPONDER_AUTH "1.3.6.1.4.1.412.274.3"
#define PST_OID_REQUESTER_AUTH "1.3.6.1.4.1.412.274.4"
#define PST_OID_SPDM_EXTENSION "1.3.6.1.4.1.412.274.6"

#endif
