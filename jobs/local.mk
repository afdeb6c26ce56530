# jobs - how named results are made; installed as examples.
jobsdir = $(datadir)/halfspec/jobs
dist_jobs_DATA = jobs/train.slurm jobs/fashion.conf
EXTRA_DIST += jobs/setup.sh jobs/quickstart.sh tests/quickcheck.sh jobs/results/fashion-filters.png
