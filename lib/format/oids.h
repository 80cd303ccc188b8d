/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Object identifiers of CMS and CAdES, encoded whole. */
#ifndef FORMAT_OIDS_H
#define FORMAT_OIDS_H

#define OID_PKCS7 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07
#define OID_PKCS9 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09

/* id-data, id-signedData: RFC 5652 4, 5.1 */
#define OID_DATA 0x06, 0x09, OID_PKCS7, 0x01
#define OID_SIGNED_DATA 0x06, 0x09, OID_PKCS7, 0x02
/* RFC 5652 11.1 to 11.3 */
#define OID_CONTENT_TYPE 0x06, 0x09, OID_PKCS9, 0x03
#define OID_MESSAGE_DIGEST 0x06, 0x09, OID_PKCS9, 0x04
#define OID_SIGNING_TIME 0x06, 0x09, OID_PKCS9, 0x05
/* smimeCapabilities: RFC 8551 2.5.2 */
#define OID_SMIME_CAPABILITIES 0x06, 0x09, OID_PKCS9, 0x0f
/* signing-certificate-v2: RFC 5035 3 */
#define OID_SIGNING_CERT_V2 0x06, 0x0b, OID_PKCS9, 0x10, 0x02, 0x2f
/* content-hints: RFC 2634 2.9; commitment-type, signer-location: RFC 5126 5.11
 */
#define OID_CONTENT_HINTS 0x06, 0x0b, OID_PKCS9, 0x10, 0x02, 0x04
#define OID_COMMITMENT_TYPE 0x06, 0x0b, OID_PKCS9, 0x10, 0x02, 0x10
#define OID_SIGNER_LOCATION 0x06, 0x0b, OID_PKCS9, 0x10, 0x02, 0x11
/* CMSAlgorithmProtection: RFC 6211 2 */
#define OID_ALGORITHM_PROTECTION 0x06, 0x09, OID_PKCS9, 0x34

#endif
