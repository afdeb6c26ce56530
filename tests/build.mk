# tests of the build itself
TESTS += tests/t_build_install.sh tests/t_build_scripts.sh
EXTRA_DIST += tests/t_build_install.sh tests/t_build_scripts.sh
