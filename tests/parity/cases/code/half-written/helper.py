NAME = "whole"
