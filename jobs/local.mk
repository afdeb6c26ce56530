# jobs - how named results are made; installed as examples.
jobsdir = $(datadir)/halfspec/jobs
dist_jobs_DATA = jobs/train.slurm jobs/fashion.conf jobs/paper-sp.conf jobs/deep.conf jobs/deep-conv.conf jobs/generic.conf jobs/seed-mnist.conf
EXTRA_DIST += jobs/studies/sketch.conf jobs/studies/sketch.sh jobs/studies/sketch.md
EXTRA_DIST += jobs/setup.sh jobs/quickstart.sh tests/quickcheck.sh jobs/results/fashion-filters.png
EXTRA_DIST += jobs/bench/peer-cpu.sh jobs/bench/peer_table.py jobs/bench/torch_nets.py jobs/bench/ranks.sh jobs/bench/scaling.sh \
	jobs/bench/scaling_plot.py jobs/bench/gpu.sh
EXTRA_DIST += jobs/bench/results/peer-cpu.md jobs/bench/results/ranks.md jobs/bench/results/scaling.csv jobs/bench/results/scaling.png jobs/bench/results/paper-sp-3.txt jobs/bench/results/paper-sp-5.txt
