/* The version of Postern. CMakeLists.txt reads it from here.
 *
 * While the first number is 0, a new second number may change the interface. The third number never
 * does. The wire has a version of its own: PST_PROFILE_VERSION in mipi_profile.h.
 */
#ifndef POSTERN_VERSION_H
#define POSTERN_VERSION_H

#define PST_VERSION_MAJOR 0
#define PST_VERSION_MINOR 1
#define PST_VERSION_PATCH 0
#define PST_VERSION "0.1.0"

#endif
