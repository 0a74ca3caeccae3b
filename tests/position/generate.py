"""Position tables resized by PyTorch's bicubic interpolation in double precision (align_corners false, a = -0.75).

Writes resize.safetensors beside this file: `from` [1, 1+6*6, 8] and `to_RxC` for several grids.
Needs torch, numpy and safetensors.
"""
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

SIDE, DIM = 6, 8
table = np.random.default_rng(5).standard_normal((1, 1 + SIDE * SIDE, DIM)).astype(np.float32)
grid = torch.from_numpy(table[:, 1:]).double().reshape(1, SIDE, SIDE, DIM).permute(0, 3, 1, 2)
out = {'from': table}
for rows, columns in ((6, 6), (4, 4), (9, 9), (14, 14), (3, 11), (1, 1)):
    y = F.interpolate(grid, size=(rows, columns), mode='bicubic', align_corners=False, antialias=False)
    y = y.permute(0, 2, 3, 1).reshape(1, rows * columns, DIM).numpy()
    out[f'to_{rows}x{columns}'] = np.concatenate([table[:, :1], y.astype(np.float32)], 1)
save_file(out, pathlib.Path(__file__).with_name('resize.safetensors'))
