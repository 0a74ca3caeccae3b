// Files of pictures and label maps as the checks read them.
#ifndef MCF_DATA_FACES_FILE_H
#define MCF_DATA_FACES_FILE_H

#include "data/image/image.h"

// All bytes of a regular file of at most 256 MiB into `file`, which may be used again. *there is false, and the result
// MCF_OK, where nothing stands at `path`. A pipe, socket, device or directory is refused at once (MCF_ERR_FORMAT).
// Messages name the file.
mcf_status mcf_face_read_file(const char *path, mcf_bytes *file, bool *there, mcf_error *err);

#endif
